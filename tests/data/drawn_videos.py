"""Videos written by the tests."""

import numpy as np

from dlapps.data.videos import opencv


def write_video(path, count=10, size=(320, 240), rate=10, codec=None):
    """Writes a video in whose frame `k` a red square has moved `8 * k` pixels to the right."""
    cv2 = opencv()
    codec = codec or ("MJPG" if path.suffix == ".avi" else "mp4v")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, size)
    assert writer.isOpened()
    for number in range(count):
        frame = np.full((size[1], size[0], 3), 225, np.uint8)
        frame[80:160, 8 * number : 8 * number + 80] = (20, 20, 230)  # OpenCV has blue first.
        writer.write(frame)
    writer.release()
    return path
