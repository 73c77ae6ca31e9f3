"""Reads the frames of video files and webcams."""

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dlapps import terminal
from dlapps.data.inputs import Input, picture_inputs
from dlapps.data.pictures import SUFFIXES as PICTURES
from dlapps.errors import UserError

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ogv", ".3gp"}
)
WEBCAM = "webcam:"
# Where a file or a camera does not say how many frames a second it has.
USUAL_RATE = 25.0
MOST_RATE = 1000.0


@dataclass(frozen=True)
class Video(Input):
    """A video file or a webcam.

    Args:
        camera: The number of the webcam; None for a file.
    """

    camera: int | None = None


@dataclass(frozen=True)
class Frame(Input):
    """One frame of a video: an input whose source is the picture itself.

    Args:
        video: What the video goes by.
        number: Of the frame in the video, from 0.
        seconds: When it is shown, after the beginning.
        rate: Frames a second of those that are looked at.
    """

    video: str
    number: int
    seconds: float
    rate: float


def media_inputs(words: Iterable[str]) -> list[Input]:
    """Lists the pictures and videos that INPUTS names, as `picture_inputs` does.

    Args:
        words: What `picture_inputs` takes, video files among it, and `webcam:0` and the like.

    Raises:
        UserError: If a word names nothing.
    """
    found: list[Input] = []
    for word in words:
        if word.startswith(WEBCAM):
            found.append(_webcam(word))
            continue
        if word.isdecimal() and not Path(word).exists():
            raise UserError(f"{word} does not exist. The webcam of that number is {WEBCAM}{word}.")
        for one in picture_inputs([word], PICTURES | SUFFIXES, "pictures or videos"):
            video = isinstance(one.source, Path) and one.source.suffix.lower() in SUFFIXES
            found.append(Video(one.name, one.source) if video else one)
    return found


def _webcam(word: str) -> Video:
    number = word.removeprefix(WEBCAM)
    if not (number.isascii() and number.isdecimal()):
        raise UserError(f"{word}: a webcam has a number, that of the first is {WEBCAM}0.")
    return Video(word, word, int(number))


def expanded(
    inputs: Iterable[Input],
    every: int,
    unreadable: dict[str, str],
    stop: Callable[[], Any] = lambda: False,
) -> Iterator[Input]:
    """Passes pictures on, and the frames of videos in their place, one at a time.

    Args:
        inputs: Pictures, videos and webcams.
        every: Frames from one that is looked at to the next.
        unreadable: Filled with the reason of every video that cannot be read, by name.
        stop: Asked before each frame whether to end.

    Raises:
        UserError: If a webcam is not there.
    """
    for one in inputs:
        if not isinstance(one, Video):
            yield one
            continue
        count = 0
        for frame in frames(one, every):
            if stop():
                return
            yield frame
            count += 1
        if not count:
            if one.camera is not None:
                raise UserError(
                    f"{one.name} gives no picture. Is there a camera, and is nothing else using it?"
                )
            unreadable[one.name] = _why(Path(str(one.source)))


def length(one: Input, every: int) -> int:
    """Returns how many pictures an input is: 1, or about as many as a video has to be looked at."""
    if not isinstance(one, Video):
        return 1
    with _opened(one) as capture:
        count = capture.get(opencv().CAP_PROP_FRAME_COUNT)
    return max(1, math.ceil(count / every)) if math.isfinite(count) else 1


def _why(path: Path) -> str:
    try:
        if not path.stat().st_size:
            return "the file is empty"
    except OSError as error:
        return str(error.strerror)
    return "not a video that OpenCV can read, or damaged"


def frames(one: Video, every: int = 1) -> Iterator[Frame]:
    """Yields the frames of a video, upright, in RGB; none if it cannot be read.

    Args:
        one: A video file or a webcam.
        every: Frames from one that is yielded to the next, the first being the first.
    """
    cv2 = opencv()
    name = one.name
    with _opened(one) as capture:
        rate = _rate(capture.get(cv2.CAP_PROP_FPS))
        number, seconds = 0, 0.0
        while capture.grab():
            if number % every == 0:
                good, picture = capture.retrieve()
                if not good:
                    break
                # The file's own clock, for the frames of a phone's video are not evenly spaced.
                clock = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                seconds = clock if clock > seconds else number / rate
                rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
                yield Frame(f"{name}#{number}", rgb, name, number, seconds, rate / every)
            number += 1
        expected = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    # Some formats only estimate how many frames there are.
    if one.camera is None and 0 < number < 0.9 * expected:
        terminal.note(f"{name} ends after {number} of {expected:.0f} frames; is it damaged?")


@contextlib.contextmanager
def _opened(one: Video) -> Iterator[Any]:
    cv2 = opencv()
    capture = cv2.VideoCapture(str(one.source) if one.camera is None else one.camera)
    try:
        yield capture
    finally:
        capture.release()


def _rate(said: float) -> float:
    return said if math.isfinite(said) and 0 < said <= MOST_RATE else USUAL_RATE


def opencv() -> ModuleType:
    """Imports OpenCV, and keeps it from speaking on standard error."""
    # FFmpeg asks when it is first used, OpenCV when it is imported, perhaps by another.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2  # noqa: PLC0415  0.1 s and 100 MB, for videos only

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2
