"""Trainings through the command line, on drawn pictures, with a backbone that is built at once."""

import csv
import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

from dlapps import backbones, runs, training
from dlapps.apps.detect import phases
from dlapps.apps.detect.config import Config
from dlapps.apps.detect.data import read_dataset
from dlapps.apps.detect.model import load_model, new_model
from tests.apps.detect.tiny import (
    LABELS,
    SIDE,
    TINY,
    detect,
    pretrained,
    record,
    stand_in,
    write_yolo,
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    stand_in(monkeypatch)


def rows(run):
    with (run / "history.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a dataset, `data/`, and room for runs."""
    folder = tmp_path_factory.mktemp("trained")
    write_yolo(folder / "data")
    return folder


def trained(root, name, *words):
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch)
        patch.setenv("DLAPPS_CACHE", str(root / "cache"))
        result = detect(*TINY, *words, "--run", root / name)
    assert result.exit_code == 0, result.output
    return root / name, result


@pytest.fixture(scope="module")
def by_heart(root):
    """A run that learns twelve pictures by heart, in 300 steps."""
    words = ("--train", root / "data/data.yaml", "--overfit-batches", 3, "--epochs", 100)
    return trained(root, "heart", *words, "--learning-rate", 0.02)


@pytest.fixture(scope="module")
def headed(root):
    """A run of `--train`, with the average of the weights."""
    words = ("--train", root / "data/data.yaml", "--epochs", 2, "--learning-rate", 0.01)
    return trained(root, "head", *words)


def test_most_of_a_handful_is_learnt_on_a_backbone_that_has_learnt_nothing(by_heart):
    run, _ = by_heart
    assert record(run)["figures"]["val_map50"] > 0.5
    losses = [float(row["loss"]) for row in rows(run)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_run_holds_all_that_comes_after(headed):
    run, result = headed
    assert result.stdout == f"{run}\n"
    names = {path.name for path in run.iterdir()}
    assert {"model.keras", "run.json", "history.csv", "checkpoint", "train_batch.png",
            "report.html"} <= names  # fmt: skip
    about = record(run)
    assert (about["app"], about["mode"], about["state"]) == ("detect", "train", "finished")
    dataset = about["dataset"]
    assert (dataset["train"], dataset["validation"], dataset["labels"]) == (12, 4, LABELS)
    assert about["options"]["image_size"] == SIDE
    assert {"val_map50", "val_map50_95", "val_loss"} <= about["figures"].keys()
    told = {"loss", "place", "distribution", "class", "val_loss", "val_place", "val_map50",
            "val_map50_95", "learning_rate", "gradient_norm"}  # fmt: skip
    assert told <= rows(run)[0].keys()
    assert [row["phase"] for row in rows(run)] == ["head", "head"]
    with Image.open(run / "train_batch.png") as sheet:
        assert len(set(sheet.convert("RGB").getdata())) > 100
    model = load_model(str(run))
    assert (model.labels, model.image_size, model.width) == (LABELS, SIDE, 8)


def test_train_leaves_the_backbone_as_it_was(headed):
    model = load_model(str(headed[0]))
    for ours, theirs in zip(
        model.network.get_weights(), pretrained().network.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def fast(root):
    """A step of everything, the rates and weights of its phases, and what moved in each."""
    seen, plain = [], training.fit

    def spied(model, phase, *words, slow=(), **more):
        slowed = {id(weight) for weight in slow}
        weights = model.network.weights
        rates = {
            weight.path: phase.learning_rate * (0.1 if id(weight) in slowed else 1)
            for weight in model.network.trainable_weights
        }
        before = model.network.get_weights()
        best = plain(model, phase, *words, slow=slow, **more)
        pairs = zip(weights, before, model.network.get_weights(), strict=True)
        moved = {weight.path for weight, *both in pairs if not np.array_equal(*both)}
        seen.append((phase.name, rates, moved))
        return best

    words = ("--finetune", root / "data/data.yaml", "--fast-dev-run", "--multi-scale")
    words += ("--augment", "standard", "--unfreeze", 1, "--average", 0, "--learning-rate", 0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "fit", spied)
        return *trained(root, "fast", *words), seen


def test_a_fast_dev_run_takes_a_step_of_everything(fast):
    run, *_ = fast
    assert [row["phase"] for row in rows(run)] == ["head", "finetune"]
    assert record(run)["state"] == "finished"
    assert record(run)["dataset"]["train"] == 12


def test_finetune_adapts_as_many_blocks_as_asked_for_at_a_tenth_of_the_rate(fast):
    _, result, seen = fast
    assert "Fine-tuning the last 1 block" in result.stderr
    (head, of_head, moved), (finetune, rates, then_moved) = seen
    assert (head, of_head, moved, finetune) == ("head", {}, set(), "finetune")
    names = ("conv/kernel", "norm/gamma", "norm/beta")
    assert rates == pytest.approx({f"block3_{name}": 0.001 for name in names})
    assert "block3_conv/kernel" in then_moved
    assert {path.split("_")[0] for path in then_moved} == {"block3"}


@pytest.mark.parametrize(("asked", "blocks"), [("all", 4), ("auto", 3), (2, 2), (0, 0)])
def test_blocks_are_counted_from_the_output(asked, blocks):
    model = new_model(LABELS, "efficientnet_lite0", SIDE, 8, 1)
    assert phases.number_of_blocks(asked, model) == blocks
    model.unfreeze(blocks)
    # A kernel, and two weights of its normalization.
    assert len(model.network.trainable_weights) == 3 * blocks


def test_a_run_is_gone_on_with_for_other_classes(headed, root):
    write_yolo(root / "others", labels=["square", "ring"])
    words = ("--train", root / "others/data.yaml", "--model", headed[0], "--epochs", 1)
    options = [word for word in TINY if word not in ("--width", 8)]
    result = detect(*words, *options, "--run", root / "others-run")
    assert result.exit_code == 0, result.output
    model = load_model(str(root / "others-run"))
    assert (model.labels, model.width) == (["square", "ring"], 8)
    about = record(root / "others-run")
    assert about["model"] == str(headed[0])
    assert about["options"]["width"] == 8


def test_views_of_every_kind_and_size_are_learnt_from(root):
    words = ("--train", root / "data/data.yaml", "--epochs", 2, "--multi-scale")
    options = [*TINY, "--image-size", 96, "--augment", "overhead", "--run", root / "scales"]
    result = detect(*words, *options)
    assert result.exit_code == 0, result.output
    assert all(float(row["loss"]) > 0 for row in rows(root / "scales"))


def views_of(root, **settings):
    dataset = read_dataset(str(root / "data/data.yaml"))
    return phases.views_of(dataset, 320, dataclasses.replace(Config(), **settings), True)


def test_sizes_lie_around_the_one_asked_for(root):
    views, plain = views_of(root, multi_scale=True)
    assert views.sizes == (256, 288, 320, 352, 384)
    assert plain.sizes == (320,)
    assert views_of(root)[0].sizes == (320,)


def test_by_heart_nothing_is_varied(root):
    views, _ = views_of(root, overfit_batches=1, multi_scale=True)
    assert (views.augmentation, views.sizes) == (None, (320,))


def test_the_last_epochs_of_a_training_show_single_pictures(root, monkeypatch):
    seen = []
    views, plain = views_of(root)

    def fit(model, phase, *words, **more):
        seen.append((phase.name, phase.epochs, views.last_mosaic, phase.average))
        return {}

    monkeypatch.setattr(training, "fit", fit)
    model = new_model(LABELS, "efficientnet_lite0", 320, 8, 1)
    config = dataclasses.replace(Config(), epochs=20, head_epochs=4)
    run = runs.create("detect", "views", None, options={})
    for mode in ("train", "finetune"):
        phases.learn(model, views, plain, mode, config, run, lambda: None)
    average = config.average
    assert seen == [("head", 20, 12, average), ("head", 4, 4, 0), ("finetune", 20, 12, average)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            ("--finetune", "--unfreeze", 9), "--unfreeze 9: efficientnet_lite0 has 4 blocks. Try",
            id="blocks",
        ),
        pytest.param(("--train", "--model", "coco"), "--model coco is one of Darknet's networks",
                     id="darknet"),
        pytest.param(("--train", "--backbone", "efficientnet"), "There is no backbone", id="name"),
        pytest.param(("--train", "--model", "nowhere"), "There is no model 'nowhere'", id="model"),
    ],
)  # fmt: skip
def test_an_option_at_fault_is_named_before_anything_is_written(words, said, root, tmp_path):
    mode, *rest = words
    result = detect(mode, root / "data/data.yaml", *rest, "--run", tmp_path / "run")
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_picture_that_cannot_be_read_is_left_out_and_named(root, tmp_path):
    data = shutil.copytree(root / "data", tmp_path / "data")
    broken = data / "images/train/3.png"
    broken.write_bytes(broken.read_bytes()[:2000])
    result = detect("--train", data / "data.yaml", *TINY, "--epochs", 1, "--run", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "Skipped 1 file that cannot be read:" in result.stderr
    assert "3.png" in result.stderr


def test_tiny_is_what_it_stands_in_for():
    """The stand-in is cut into blocks and grids as a real backbone is."""
    network = pretrained().network
    assert len(backbones.blocks(network)) == 4
    assert {stride: names[-1] for stride, names in backbones.pyramid(network).items()} == {
        4: "stem_relu", 8: "block1_relu", 16: "block2_relu", 32: "block3_relu",
    }  # fmt: skip
