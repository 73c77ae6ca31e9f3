"""The command `dlapps detect` on pictures and videos."""

import csv
import json

import pytest
from click.testing import CliRunner
from PIL import Image

from dlapps.apps.detect import model as models
from dlapps.apps.detect.command import detect
from dlapps.data.videos import Video, frames
from tests.apps.detect.scenes import ColourDetector, painted
from tests.data.drawn_videos import write_video


@pytest.fixture
def asked(monkeypatch):
    """Runs the command with a stand-in for every model; returns what `CliRunner.invoke` does."""
    loaded = []

    def load(*names):
        loaded.append(names)
        return ColourDetector()

    monkeypatch.setattr(models, "load_model", load)
    monkeypatch.setattr(models, "load_darknet", load)

    def run(*words, **settings):
        return CliRunner().invoke(detect, [str(word) for word in words], **settings)

    run.loaded = loaded
    return run


@pytest.fixture
def street(tmp_path):
    """A folder of two pictures; the second is empty."""
    folder = tmp_path / "street"
    folder.mkdir()
    boxes = [(20, 20, 120, 100), (200, 100, 300, 220)]
    painted((320, 240), boxes, ["red", "blue"]).save(folder / "9.png")
    painted((320, 240), [], []).save(folder / "10.png")
    return folder


def test_pictures_are_looked_at_in_their_order(asked, street):
    result = asked(street)
    assert result.exit_code == 0, result.output
    first, second, third = result.stdout.splitlines()
    assert first.split()[0].endswith("9.png")
    assert first.split()[-1] == "red"
    assert second.split()[-1] == "blue"
    assert third.split()[0].endswith("10.png")
    assert third.endswith("nothing found")
    assert asked.loaded == [("coco",)]


def test_formats_agree(asked, street, tmp_path):
    rows = {}
    whole = json.loads(asked(street, "--format", "json").stdout)
    rows["json"] = [(p["path"], b["label"]) for p in whole for b in p["boxes"]]
    each = [json.loads(line) for line in asked(street, "--format", "jsonl").stdout.splitlines()]
    rows["jsonl"] = [(p["path"], b["label"]) for p in each for b in p["boxes"]]
    out = tmp_path / "out.csv"
    assert asked(street, "--format", "csv", "-o", out).stdout == ""
    rows["csv"] = [(r["path"], r["label"]) for r in csv.DictReader(out.read_text().splitlines())]
    assert rows["json"] == rows["jsonl"] == rows["csv"]
    coco = json.loads(asked(street, "--format", "coco").stdout)
    assert [one["image_id"] for one in coco] == [9, 9]
    assert [one["category_id"] for one in coco] == [1, 2]


def test_yolo_writes_a_text_for_each_picture(asked, street, tmp_path):
    result = asked(street, "--format", "yolo", "-o", tmp_path / "labels")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "Wrote 2 files" in result.stderr
    texts = {p.name: p.read_text() for p in (tmp_path / "labels").iterdir()}
    assert texts["10.txt"] == ""
    red = [float(word) for word in texts["9.txt"].splitlines()[0].split()]
    assert red == pytest.approx([0, 70 / 320, 60 / 240, 100 / 320, 80 / 240, 0.9], abs=0.03)


def test_classes_confidence_and_count_are_obeyed(asked, street):
    def labels(*words):
        rows = json.loads(asked(street / "9.png", "--format", "json", *words).stdout)
        return [box["label"] for box in rows[0]["boxes"]]

    assert sorted(labels()) == ["blue", "red"]
    assert labels("--classes", "Blue") == ["blue"]
    assert labels("--classes", "0") == ["red"]
    assert labels("--confidence", 0.95) == []
    assert len(labels("--max-detections", 1)) == 1


def test_tiles_and_image_size_find_what_is_small(asked, tmp_path):
    picture = painted((1600, 1200), [(816, 616, 828, 628)], ["red"])
    picture.save(tmp_path / "large.png")
    assert "nothing found" in asked("large.png").stdout
    for words in (("--tile", 160), ("--image-size", 1536)):
        assert asked("large.png", *words).stdout.split()[-1] == "red"


def test_pictures_are_saved(asked, street, tmp_path):
    result = asked(street, "--save-images", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["10.jpg", "9.jpg"]
    with Image.open(tmp_path / "out/9.jpg") as image:
        assert image.size == (320, 240)


def test_videos_are_pictures_with_a_time(asked, tmp_path):
    write_video(tmp_path / "clip.mp4", count=9)
    result = asked("clip.mp4", "--every", 4, "--save-video", "out.mp4", "--format", "json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["path"] for row in rows] == ["clip.mp4#0", "clip.mp4#4", "clip.mp4#8"]
    assert [row["seconds"] for row in rows] == pytest.approx([0, 0.4, 0.8], abs=0.02)
    left = [row["boxes"][0]["xyxy"][0] for row in rows]
    assert left == pytest.approx([0, 32, 64], abs=10)
    again = [*frames(Video("out", tmp_path / "out.mp4"))]
    assert len(again) == 3
    assert again[0].rate == pytest.approx(2.5)


def test_several_videos_and_pictures_go_together(asked, street, tmp_path):
    write_video(street / "a.avi", count=2)
    write_video(street / "b.mp4", count=2)
    result = asked(street, "--save-video", "films", "--save-images", "stills")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (tmp_path / "films").iterdir()) == ["a.mp4", "b.mp4"]
    assert len([*(tmp_path / "stills").iterdir()]) == 6


def test_broken_files_are_skipped_counted_and_named(asked, street):
    (street / "bad.mp4").write_bytes(b"no video")
    (street / "bad.jpg").write_bytes(b"no picture")
    result = asked(street)
    assert result.exit_code == 0
    assert "Skipped 2 files that cannot be read" in result.stderr
    assert "bad.mp4: not a video that OpenCV can read" in result.stderr
    assert len(result.stdout.splitlines()) == 3
    strict = asked(street, "--strict", "-o", "out.txt")
    assert strict.exit_code == 1
    assert "Without --strict it would be skipped" in strict.stderr


def test_a_darknet_model_is_loaded_from_its_three_files(asked, street):
    words = ("--model", "my.cfg", "--weights", "my.weights", "--names", "my.names")
    assert asked(street, *words).exit_code == 0
    assert asked.loaded == [("my.cfg", "my.weights", "my.names")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "INPUTS are missing", id="no inputs"),
        pytest.param(["a.png", "--format", "yolo"], "add -o DIR", id="yolo without a folder"),
        pytest.param(["a.png", "-o", "."], "-o . is a folder", id="a folder for a file"),
        pytest.param(["a.png", "--save-video", "x.mp4"], "INPUTS names none", id="no video"),
        pytest.param(["a.mp4", "--save-video", "x.gif"], ".mp4", id="kind of video"),
        pytest.param(["a.mp4", "a.mp4", "--save-video", "x.mp4"], "2 videos", id="two videos"),
        pytest.param(["a.png", "--names", "x"], "--model FILE.cfg", id="names alone"),
        pytest.param(["a.png", "--model", "x.cfg"], "needs --weights FILE", id="cfg alone"),
        pytest.param(["a.png", "--format", "yol"], "Did you mean 'yolo'?", id="format"),
        pytest.param(["a.png", "--confidence", "2"], "0<=x<=1", id="confidence"),
        pytest.param(["a.png", "--image-size", "100"], "not a multiple of 32", id="size"),
        pytest.param(["a.png", "--tile", "10"], "not in the range from 64", id="tile"),
        pytest.param(["a.png", "--epochs", "3"], "for training: add --train", id="epochs"),
        pytest.param(["--train", "a", "b"], "takes one dataset, got 2", id="two datasets"),
        pytest.param(["--train", "a", "--iou", "0.4"], "--iou is for prediction", id="iou"),
        pytest.param(["--train", "a", "-o", "x"], "-o is for prediction", id="output"),
        pytest.param(["--resume", "x", "a"], "leave them out", id="resume with a dataset"),
    ],
)
def test_mistakes_on_the_command_line_get_one_line(words, said, asked, tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "a.mp4").touch()
    result = asked(*words)
    assert result.exit_code == 2
    assert said in result.stderr.splitlines()[-1]
    assert result.stdout == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "a.png"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["nowhere.png"], "nowhere.png does not exist", id="missing"),
        pytest.param(["0"], "The webcam of that number is webcam:0", id="number"),
        pytest.param(["webcam:77"], "webcam:77 gives no picture", id="no webcam"),
        pytest.param(["a.png", "--classes", "rad"], "Did you mean 'red'?", id="class"),
        pytest.param(["a.png", "--save-images", "/proc/x"], "/proc/x cannot", id="images"),
        pytest.param(["bad.png"], "No picture could be read", id="unreadable"),
        pytest.param(["bad.mp4"], "No picture could be read", id="unreadable video"),
    ],
)
def test_mistakes_in_files_get_one_line(words, said, asked, tmp_path):
    painted((64, 64), [], []).save(tmp_path / "a.png")
    (tmp_path / "bad.png").write_bytes(b"text")
    (tmp_path / "bad.mp4").touch()
    result = asked(*words)
    assert result.exit_code == 1, result.output
    assert said in result.stderr.splitlines()[-1]
    assert result.stdout == ""


def test_an_image_may_come_through_standard_input(asked, street):
    result = asked("-", input=(street / "9.png").read_bytes())
    assert result.exit_code == 0, result.output
    assert {line.split()[-1] for line in result.stdout.splitlines()} == {"red", "blue"}


def test_memory_does_not_grow_with_a_video(asked, tmp_path, monkeypatch):
    from dlapps.data import videos

    write_video(tmp_path / "clip.mp4", count=150, size=(160, 120))
    alive, most = set(), []
    original = videos.frames

    def counted(one, every=1):
        import weakref

        for frame in original(one, every):
            alive.add(frame.number)
            weakref.finalize(frame.source, alive.discard, frame.number)
            most.append(len(alive))
            yield frame

    monkeypatch.setattr(videos, "frames", counted)
    assert asked("clip.mp4", "--format", "csv", "-o", "out.csv").exit_code == 0
    assert len(most) == 150
    assert max(most) < 40


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["in", "--save-images", "in/"], "INPUTS are read from", id="pictures"),
        pytest.param(["in", "--save-video", "in"], "INPUTS are read from", id="videos"),
        pytest.param(["in", "--save-video", "in/a.mp4"], "would overwrite the video", id="video"),
    ],
)
def test_inputs_are_never_overwritten(words, said, asked, tmp_path):
    (tmp_path / "in").mkdir()
    painted((64, 64), [], []).save(tmp_path / "in/a.jpg")
    write_video(tmp_path / "in/a.mp4", count=2)
    before = {p: p.read_bytes() for p in (tmp_path / "in").iterdir()}
    result = asked(*words)
    assert result.exit_code == 1
    assert said in result.stderr
    assert {p: p.read_bytes() for p in (tmp_path / "in").iterdir()} == before
