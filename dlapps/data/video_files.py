"""Writes pictures to video files, each whole or not at all."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from dlapps import files
from dlapps.data.videos import Frame, opencv
from dlapps.errors import UserError, reason

# What OpenCV's own packages write without a codec from elsewhere, by the suffix of the file.
CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


class VideoFiles:
    """Writes frames to files, one for each video that they come from.

    A file appears when the next video begins or all are closed; where that goes wrong, none does.

    Args:
        place: A file for one video, with a suffix of `CODECS`; else a folder.
    """

    def __init__(self, place: Path):
        self.place = place
        self.taken: set[str] = set()
        self.stack = ExitStack()
        self.video: str | None = None
        self.writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stack.__exit__(kind, error, trace)

    def add(self, frame: Frame, picture: np.ndarray) -> None:
        """Adds a picture to the file of its video.

        Args:
            frame: Which one it is.
            picture: `(height, width, 3)` uint8, RGB, of one size throughout a video.

        Raises:
            UserError: If that is not possible.
        """
        if frame.video != self.video:
            self.stack.close()  # The last video is whole.
            self._begin(frame, picture)
        self.writer.write(np.ascontiguousarray(picture[..., ::-1]))

    def _begin(self, frame: Frame, picture: np.ndarray) -> None:
        path = self.place
        if path.is_dir() or path.suffix.lower() not in CODECS:
            name = files.stem(frame.video.replace(":", ""))
            path = path / files.new_name(name, ".mp4", self.taken)
        try:
            beside = self.stack.enter_context(files.replacement(path))
        except OSError as error:
            raise UserError(f"{path} cannot be written: {reason(error)}.") from error
        cv2 = opencv()
        codec = cv2.VideoWriter_fourcc(*CODECS[path.suffix.lower()])
        size = (picture.shape[1], picture.shape[0])
        self.writer = cv2.VideoWriter(str(beside), codec, frame.rate, size)
        self.stack.callback(self.writer.release)
        if not self.writer.isOpened():
            raise UserError(f"{path} cannot be written as a video of {size[0]} x {size[1]} pixels.")
        self.video = frame.video
