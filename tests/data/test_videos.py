import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dlapps.data import videos
from dlapps.data.inputs import Input
from dlapps.data.videos import Frame, Video, expanded, frames, length, media_inputs
from dlapps.errors import UserError
from tests.data.drawn_videos import write_video


@pytest.fixture(params=["clip.mp4", "clip.avi"])
def clip(request, tmp_path):
    return write_video(tmp_path / request.param)


def video(path):
    return Video(path.name, path)


def left_of_square(frame):
    """Returns the first column of the red square."""
    picture = frame.source.astype(int)
    return int(np.nonzero((picture[..., 0] - picture[..., 2] > 100).any(axis=0))[0][0])


def test_all_frames_come_in_order_in_red_green_blue(clip):
    seen = [*frames(video(clip))]
    assert [frame.number for frame in seen] == [*range(10)]
    assert seen[0].source.shape == (240, 320, 3)
    for number, frame in enumerate(seen):
        assert abs(left_of_square(frame) - 8 * number) <= 2


def test_frames_have_a_name_and_a_time(clip):
    seen = [*frames(video(clip))]
    assert seen[3].name == f"{clip.name}#3"
    assert seen[3].video == clip.name
    assert [frame.seconds for frame in seen] == pytest.approx([k / 10 for k in range(10)], abs=0.02)


@pytest.mark.parametrize(("every", "numbers"), [(3, [0, 3, 6, 9]), (10, [0]), (99, [0])])
def test_some_frames_are_left_out(clip, every, numbers):
    seen = [*frames(video(clip), every)]
    assert [frame.number for frame in seen] == numbers
    assert [left_of_square(frame) for frame in seen] == pytest.approx(
        [8 * k for k in numbers], abs=2
    )
    assert seen[0].rate == pytest.approx(10 / every)
    assert length(video(clip), every) == len(numbers)


def test_frames_are_read_one_at_a_time(clip, monkeypatch):
    read = []
    original = videos.opencv().VideoCapture

    class Counting:
        def __init__(self, where):
            self.capture = original(where)

        def grab(self):
            read.append(1)
            return self.capture.grab()

        def __getattr__(self, name):
            return getattr(self.capture, name)

    monkeypatch.setattr(videos.opencv(), "VideoCapture", Counting)
    stream = frames(video(clip))
    next(stream)
    next(stream)
    assert len(read) == 2
    stream.close()


def test_pictures_and_videos_keep_their_order(clip, tmp_path):
    inputs = [Input("a.jpg", b"1"), video(clip), Input("b.jpg", b"2")]
    names = [one.name for one in expanded(inputs, 5, {})]
    assert names == ["a.jpg", f"{clip.name}#0", f"{clip.name}#5", "b.jpg"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"no video" * 100, "not a video that OpenCV can read", id="text"),
    ],
)
def test_a_broken_video_is_named_and_the_rest_goes_on(content, why, tmp_path):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    bad = {}
    names = [one.name for one in expanded([video(path), Input("a.jpg", b"")], 1, bad)]
    assert names == ["a.jpg"]
    assert why in bad["bad.mp4"]


def test_a_video_that_lost_its_index_is_broken(tmp_path):
    path = write_video(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes()[:-400])
    bad = {}
    assert [*expanded([video(path)], 1, bad)] == []
    assert "damaged" in bad["clip.mp4"]


def test_a_video_that_was_cut_off_says_so(tmp_path, capsys):
    path = write_video(tmp_path / "clip.avi", count=30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen = [*expanded([video(path)], 1, {})]
    assert 5 < len(seen) < 30
    said = f"clip.avi ends after {len(seen)} of 30 frames; is it damaged?\n"
    assert capsys.readouterr().err == said


def test_a_missing_webcam_is_one_line():
    with pytest.raises(UserError, match=r"webcam:77 gives no picture\. Is there a camera"):
        next(expanded(media_inputs(["webcam:77"]), 1, {}))


def test_opencv_itself_says_nothing(tmp_path):
    write_video(tmp_path / "clip.mp4")
    (tmp_path / "lost.mp4").write_bytes((tmp_path / "clip.mp4").read_bytes()[:-400])
    # In a process of its own, for FFmpeg asks how much to say when it is first used; OpenCV may
    # have been imported by another, such as keras-cv.
    code = """
import cv2
from dlapps.data.videos import expanded, media_inputs
from dlapps.errors import UserError
assert not [*expanded(media_inputs(["lost.mp4"]), 1, {})]
try:
    [*expanded(media_inputs(["webcam:77"]), 1, {})]
except UserError:
    print("no webcam")
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(videos.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert (done.stdout, done.stderr) == ("no webcam\n", "")


class Camera:
    """Stands in for a webcam that never ends."""

    def __init__(self, where):
        assert where == 0
        self.released = False

    def grab(self):
        return True

    def retrieve(self):
        return True, np.zeros((48, 64, 3), np.uint8)

    def get(self, _):
        return -1.0

    def release(self):
        self.released = True


def test_a_webcam_goes_on_until_it_is_told_to_stop(monkeypatch):
    cameras = []
    monkeypatch.setattr(
        videos.opencv(), "VideoCapture", lambda where: cameras.append(Camera(where)) or cameras[0]
    )
    asked = SimpleNamespace(times=0)

    def stop():
        asked.times += 1
        return "Ctrl-C" if asked.times > 4 else None

    seen = [*expanded(media_inputs(["webcam:0"]), 1, {}, stop)]
    assert [frame.name for frame in seen] == [f"webcam:0#{k}" for k in range(4)]
    assert seen[2].seconds == pytest.approx(2 / videos.USUAL_RATE)
    assert cameras[0].released


def test_videos_are_told_from_pictures_by_their_suffix(clip, tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "notes.md").touch()
    kinds = {one.source.name: type(one) for one in media_inputs([str(tmp_path)])}
    assert kinds == {"a.jpg": Input, clip.name: Video}


@pytest.mark.parametrize(
    ("word", "words"),
    [
        pytest.param("0", "0 does not exist. The webcam of that number is webcam:0.", id="number"),
        pytest.param("webcam:front", "that of the first is webcam:0", id="name"),
        pytest.param("webcam:", "that of the first is webcam:0", id="nothing"),
        pytest.param(".", "holds no pictures or videos", id="empty folder"),
    ],
)
def test_words_that_name_nothing_get_one_line(word, words):
    with pytest.raises(UserError) as error:
        media_inputs([word])
    assert words in error.value.message


def test_a_file_named_like_a_number_is_a_file(tmp_path):
    (tmp_path / "0").write_bytes(b"x")
    assert media_inputs(["0"]) == [Input("0", Path("0"))]


def test_a_frame_is_an_input():
    assert issubclass(Frame, Input)
    assert length(Input("a.jpg", b""), 3) == 1
