import contextlib

import numpy as np
import pytest

from dlapps.data.video_files import CODECS, VideoFiles
from dlapps.data.videos import Frame, Video, frames
from dlapps.errors import UserError


def frame(number, video="clip.mov", rate=10.0):
    return Frame(f"{video}#{number}", b"", video, number, number / rate, rate)


def grey(shade, size=(64, 48)):
    return np.full((size[1], size[0], 3), shade, np.uint8)


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_what_is_written_is_read_again(suffix, tmp_path):
    path = tmp_path / f"out{suffix}"
    with VideoFiles(path) as videos:
        for k in range(5):
            videos.add(frame(k), grey(50 * k))
    again = [*frames(Video("out", path))]
    assert [one.source.mean() for one in again] == pytest.approx([50 * k for k in range(5)], abs=4)
    assert again[0].rate == pytest.approx(10)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_red_stays_red(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[..., 0] = 200
    with VideoFiles(tmp_path / "out.avi") as videos:
        videos.add(frame(0), picture)
    (again,) = frames(Video("out", tmp_path / "out.avi"))
    assert again.source.mean(axis=(0, 1)) == pytest.approx([200, 0, 0], abs=6)


def test_odd_sides_are_written_too(tmp_path):
    with VideoFiles(tmp_path / "out.mp4") as videos:
        videos.add(frame(0), grey(90, (71, 53)))
    (again,) = frames(Video("out", tmp_path / "out.mp4"))
    assert again.source.shape[:2] in ((53, 71), (52, 70), (54, 72))


def test_each_video_has_its_file_in_a_folder(tmp_path):
    with VideoFiles(tmp_path) as videos:
        for name in ("a/clip.mp4", "b/clip.avi", "../../webcam:0"):
            videos.add(frame(0, name), grey(0))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip-2.mp4", "clip.mp4", "webcam0.mp4"]


def test_a_failure_leaves_no_file(tmp_path):
    with contextlib.suppress(RuntimeError), VideoFiles(tmp_path / "out.mp4") as videos:
        videos.add(frame(0), grey(0))
        assert [*tmp_path.iterdir()]
        raise RuntimeError
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with (
        pytest.raises(UserError, match=r"no/out\.mp4 cannot be written: No such file"),
        VideoFiles(tmp_path / "no/out.mp4") as videos,
    ):
        videos.add(frame(0), grey(0))
