import csv
import io
import json
import math

import pytest
from PIL import Image

from tests.apps.caption.shapes import BY_HEART, EVERY, TINY


def known(colour, kind):
    """Returns what may be said of a picture that was learnt by heart."""
    return {f"A {colour} {kind} on a wall", f"There is one {colour} {kind}"}


def test_knows_by_heart_what_it_has_learnt(trained, tell):
    result = tell(trained[1])
    assert result.exit_code == 0, result.output
    said = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    assert len(said) == len(EVERY) - 1  # One was held out.
    for path, text in said.items():
        colour, kind, _ = path.rpartition("/")[2].split("-")
        assert text.strip() in known(colour, kind)


def test_a_run_holds_all_that_comes_after(trained):
    names = {path.name for path in trained[0].iterdir()}
    assert {"model.keras", "run.json", "history.csv", "report.html", "train_batch.png",
            "samples.txt"} <= names  # fmt: skip
    record = json.loads((trained[0] / "run.json").read_text())
    assert record["state"] == "finished"
    assert record["figures"]["val_cider"] > 1
    assert record["figures"]["val_distinct"] == 1


def test_a_frozen_backbone_is_not_taken_for_one_that_learns(trained):
    with (trained[0] / "layers.csv").open(newline="") as file:
        learnt = {row["layer"] for row in csv.DictReader(file) if row["update_ratio_mean"]}
    assert learnt
    assert {name.split("/")[1] for name in learnt} == {"decoder"}


def test_json_is_of_the_shape_of_every_app(trained, tell):
    picture = trained[1] / "red-disc-0.png"
    [one] = json.loads(tell(picture, "--format", "json").stdout)
    assert one["path"] == str(picture)
    [caption] = one["captions"]
    assert caption["text"] in known("red", "disc")
    assert -5 < caption["log_probability"] < 0
    assert json.loads(tell(picture, "--format", "jsonl").stdout) == one
    [row] = csv.DictReader(io.StringIO(tell(picture, "--format", "csv").stdout))
    assert (row["rank"], row["caption"]) == ("1", caption["text"])


def test_samples_are_drawn_by_chance_and_the_same_for_the_same_seed(trained, tell):
    words = [trained[1] / "red-disc-0.png", "--samples", 6, "--temperature", 1, "--format", "json"]
    one, two = (json.loads(tell(*words, "--seed", 3).stdout)[0]["captions"] for _ in range(2))
    assert one == two
    assert len(one) == 6
    assert len({caption["text"] for caption in one}) > 1
    # Cold, they are the two captions that it has learnt, about as likely as one another.
    cold = json.loads(tell(*words, "--seed", 3, "--temperature", 0.3).stdout)[0]["captions"]
    assert {caption["text"] for caption in cold} <= known("red", "disc")
    assert all(caption["log_probability"] > math.log(0.05) for caption in cold)


def test_saves_pictures_with_captions_and_strips_of_where_it_looked(trained, tell, tmp_path):
    picture = trained[1] / "green-square-0.png"
    assert tell(picture, picture, "--save-images", tmp_path / "out").exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "green-square-0.jpg", "green-square-0-2.jpg",
    }  # fmt: skip
    with Image.open(tmp_path / "out/green-square-0.jpg") as drawn:
        assert drawn.height > 64
    result = tell(picture, "--save-images", tmp_path / "why", "--explain")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "why/green-square-0.jpg") as strip:
        assert strip.width > 3 * 160


def test_alt_texts_are_shown_first_and_written_when_told_to(trained, tell, tmp_path):
    page = tmp_path / "page.html"
    source = trained[1] / "green-disc-0.png"
    (tmp_path / "green.png").write_bytes(source.read_bytes())
    before = b'<p>\xff</p>\r\n<img src="green.png">\n<img src="green.png" alt="mine">'
    page.write_bytes(before)
    result = tell("--alt-text", page)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{page}:2  green.png  ")
    assert "Nothing is written yet. Add --write" in result.stderr
    assert page.read_bytes() == before
    text = result.stdout.split("  ")[2].strip()
    assert text in known("green", "disc")
    after = before.replace(b"<img src", f'<img alt="{text}" src'.encode(), 1)
    assert tell("--alt-text", page, "-o", tmp_path / "copy.html").exit_code == 0
    assert (tmp_path / "copy.html").read_bytes() == after
    assert page.read_bytes() == before
    assert "Written: 1 alt texts in 1 pages" in tell("--alt-text", page, "--write").stderr
    assert page.read_bytes() == after
    assert "nothing to do" in tell("--alt-text", page, "--write").stderr


def test_what_cannot_be_read_is_skipped_counted_and_named(trained, tell, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    good = trained[1] / "red-disc-0.png"
    result = tell(bad, good)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert "Skipped 1 file that cannot be read" in result.stderr
    result = tell(bad, good, "--strict")
    assert result.exit_code == 1
    assert "bad.png cannot be read" in result.stderr
    assert tell(bad).stderr.endswith("Error: No picture could be read.\n")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param([], 2, "INPUTS are missing", id="nothing"),
        pytest.param(["x.jpg", "--explain"], 2, "add --save-images", id="explain"),
        pytest.param(["x.jpg", "--write"], 2, "--write belongs to --alt-text", id="write"),
        pytest.param(["x.jpg", "--top-k", 3], 2, "add --samples N", id="top-k"),
        pytest.param(
            ["x.jpg", "--samples", 2, "--explain", "--save-images", "o"],
            2,
            "leave out --samples",
            id="sampled-explain",
        ),
        pytest.param(["nowhere.jpg"], 1, "nowhere.jpg does not exist", id="missing"),
        pytest.param(["--train", "a", "b"], 2, "takes one dataset, got 2", id="two"),
        pytest.param(["--train", "nowhere"], 1, "nowhere does not exist", id="no-data"),
        pytest.param(["--train", "sample", "--model", "x"], 2, "--train begins anew", id="model"),
        pytest.param(["x.jpg", "--units", 8], 2, "--units is for training", id="units"),
        pytest.param(["x.jpg", "--model", "flickr9k"], 1, "", id="no-model"),
    ],
)
def test_mistakes_are_told_in_one_line(dlapps, tmp_path, words, status, said):
    if words[:1] == ["x.jpg"]:
        Image.new("RGB", (8, 8)).save(tmp_path / "x.jpg")
    result = dlapps("caption", *words)
    assert result.exit_code == status
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.output


def test_a_word_count_that_leaves_no_word_is_refused(dlapps, shapes):
    result = dlapps("caption", "--train", shapes, *TINY, "--min-count", 999)
    assert result.exit_code == 1
    assert "No word stands in 999 captions, so the vocabulary would be empty" in result.stderr
    assert not list(shapes.parent.glob("runs/caption/*"))


def test_leftovers_of_a_dataset_are_named_and_strict_stops_at_them(dlapps, shapes):
    with (shapes / "captions.csv").open("a") as file:
        file.write("gone.png,A ghost .\nred-disc-0.png, . \n")
    words = ["caption", "--train", shapes, *TINY]
    result = dlapps(*words, "--fast-dev-run")
    assert result.exit_code == 0, result.output
    assert "1 picture with captions does not exist: gone.png." in result.stderr
    assert "1 caption is empty, of" in result.stderr
    result = dlapps(*words, "--strict")
    assert result.exit_code == 1
    assert "gone.png" in result.stderr


def test_the_other_decoder_learns_by_heart_too(dlapps, shapes, tmp_path):
    words = [*TINY, *BY_HEART, "--decoder", "show-tell"]
    result = dlapps("caption", "--train", shapes, *words, "--run", tmp_path / "run")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "run/run.json").read_text())["figures"]
    assert figures["val_cider"] > 1
    picture = shapes / "red-disc-0.png"
    result = dlapps(
        "caption", picture, "--model", tmp_path / "run", "--explain", "--save-images", "out"
    )
    assert result.exit_code == 1
    assert "looks once" in result.stderr
