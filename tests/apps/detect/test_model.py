import keras
import numpy as np
import pytest

from dlapps import backbones, saving
from dlapps.apps.detect.model import YOLODetector, adapted, load_model, new_model
from tests.apps.detect.tiny import stand_in

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    stand_in(monkeypatch)


def shaken(model):
    """Moves neck and heads, statistics too, from where all cells say the same."""
    rng = np.random.default_rng(1)
    for part in (model.neck, *model.heads):
        for weight in part.weights:
            if len(weight.shape) == 1:
                moved = np.asarray(weight) + 0.2 * np.abs(rng.normal(size=weight.shape))
                weight.assign(moved.astype(np.float32))
    for head in model.heads:
        head.logits.kernel.assign(rng.normal(scale=0.3, size=head.logits.kernel.shape))
    return model


def made(labels=("a", "b", "c"), size=64):
    return new_model([*labels], backbones.BUILT_IN, size, 8, 1)


def noise(*shape):
    return RNG.integers(0, 256, (*shape, 3)).astype(np.uint8)


def arrays(said):
    return [keras.ops.convert_to_numpy(each) for each in said]


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_saved_and_loaded_it_says_the_same(policy, tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = shaken(made())
        saving.save(model, tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy(before)
    again = load_model(str(tmp_path / "model.keras"))
    assert again.dtype_policy.name == model.dtype_policy.name == policy
    assert again.heads[0].place[0].convolution.dtype_policy.name == policy
    assert again.network.layers[1].dtype_policy.name == policy
    assert (again.labels, again.image_size) == (["a", "b", "c"], 64)
    images = noise(2, 64, 64)
    for ours, theirs in zip(
        arrays(model.predictions(images)), arrays(again.predictions(images)), strict=True
    ):
        assert ours.dtype == theirs.dtype == np.float32
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)


def test_all_that_it_is_stands_in_its_config():
    model = made()
    settings = {"labels": ["a", "b", "c"], "backbone": "efficientnet_lite0", "image_size": 64}
    settings |= {"width": 8, "depth": 1}
    assert settings.items() <= model.get_config().items()
    twin = YOLODetector.from_config(model.get_config())
    twin.build((None, 64, 64, 3))
    assert [weight.shape for weight in twin.weights] == [weight.shape for weight in model.weights]


def test_the_backbone_is_the_pretrained_one():
    trained = backbones.pretrained(backbones.BUILT_IN).network
    for ours, theirs in zip(made().network.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("high", "wide"), [(64, 64), (32, 96), (160, 64)])
def test_looks_at_pictures_of_any_sides(high, wide):
    model = shaken(made())
    images = noise(2, high, wide)
    boxes, scores = arrays(model.predictions(images))
    cells = sum(high // stride * (wide // stride) for stride in (8, 16, 32))
    assert boxes.shape == (2, cells, 4)
    assert scores.shape == (2, cells, 3)
    assert (boxes[..., 2:] >= boxes[..., :2]).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    # Each cell's box is around its centre.
    x, y = np.meshgrid(np.arange(wide // 8) * 8 + 4, np.arange(high // 8) * 8 + 4)
    centres = np.stack([x, y], -1).reshape(-1, 2)
    fine = boxes[:, : len(centres)]
    assert ((fine[..., :2] <= centres) & (centres <= fine[..., 2:])).all()
    alone = arrays(model.predictions(images[1:].astype(np.float32)))
    np.testing.assert_allclose(alone[0], boxes[1:], rtol=1e-4, atol=1e-3)


def test_shifting_the_picture_shifts_the_boxes():
    """Far from the edges, for there is nothing to shift in."""
    model = shaken(made())
    tall = noise(1, 21 * 32, 32)
    (first, sure), (second, likewise) = (
        arrays(model.predictions(tall[:, start : start + 20 * 32])) for start in (0, 32)
    )
    begin = 0
    for n in (4, 2, 1):  # Cells of a stride in one of the coarsest, along each side.
        rows = slice(begin + 10 * n * n, begin + 11 * n * n)
        moved = slice(begin + 9 * n * n, begin + 10 * n * n)
        np.testing.assert_allclose(
            first[:, rows] - [0, 32, 0, 32], second[:, moved], rtol=1e-3, atol=0.05
        )
        np.testing.assert_allclose(sure[:, rows], likewise[:, moved], rtol=1e-3, atol=1e-5)
        begin += 20 * n * n
    assert np.ptp(sure) > 0.01


def test_what_is_measured_is_no_part_of_the_model():
    model = made()
    model.compile("sgd")
    names = {metric.name for metric in model.metrics}
    assert {"place", "distribution", "class", "average_precision"} <= names
    assert not [each.path for each in model.variables if "average_precision" in each.path]


def truth(*boxes, most=4, batch=2):
    corners = np.full((batch, most, 4), -1, np.float32)
    labels = np.full((batch, most), -1, np.int32)
    for place, (box, label) in enumerate(boxes):
        corners[:, place], labels[:, place] = box, label
    return corners, labels


def losses(model, images, targets):
    said = model(images, training=True)
    total = float(model.compute_loss(images, targets, said))
    parts = {name: float(model.measures[name].result()) for name in ("place", "distribution",
                                                                    "class")}  # fmt: skip
    assert total == pytest.approx(
        7.5 * parts["place"] + 1.5 * parts["distribution"] + 0.5 * parts["class"], rel=1e-4
    )
    return parts


def test_the_first_loss_is_what_chance_gives():
    model = made([*"abcdefgh"], size=320)
    images = noise(2, 320, 320)
    # Five things a picture are expected, on each of three grids, and none is there.
    parts = losses(model, images, truth())
    assert parts["class"] == pytest.approx(2 * 3 * 5, rel=0.1)
    assert parts["place"] == parts["distribution"] == 0
    model.reset_metrics()
    parts = losses(model, images, truth(([40, 40, 160, 200], 0), ([200, 100, 290, 180], 7)))
    assert 0.3 < parts["place"] < 1.5
    assert parts["distribution"] == pytest.approx(np.log(16), rel=0.4)


def test_a_loss_is_that_of_the_picture_however_many_are_in_a_batch():
    model = made()
    images, box = noise(1, 256, 256), ([40, 40, 160, 170], 1)
    one, three = (
        float(model.compute_loss(many, truth(box, batch=len(many)), model(many)))
        for many in (images, np.repeat(images, 3, 0))
    )
    assert three == pytest.approx(one, rel=1e-3)


def test_only_neck_and_heads_normalise_by_the_batch():
    model = made()
    before = [model.network.get_weights(), model.neck.get_weights()]
    model(noise(2, 64, 64), training=True)
    for old, new in zip(before[0], model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    changed = [
        not np.array_equal(old, new)
        for old, new in zip(before[1], model.neck.get_weights(), strict=True)
    ]
    assert any(changed)


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_the_last_blocks_of_the_backbone_are_unfrozen(count):
    model = made()
    model.unfreeze(4)
    model.unfreeze(count)
    names = {weight.path.split("/")[-2].split("_")[0] for weight in model.network.trainable_weights}
    assert names == {*["stem", "block1", "block2", "block3"][4 - count :]}
    assert len(model.neck.trainable_weights) > 0


def test_adapted_it_keeps_what_it_knows_of_the_same_names():
    start = shaken(made(("cat", "dog", "bird")))
    model = adapted(start, ["dog", "cow", "cat"], 96)
    assert (model.labels, model.image_size) == (["dog", "cow", "cat"], 96)
    images = noise(2, 64, 64)
    (boxes, scores), (own, sure) = (arrays(each.predictions(images)) for each in (start, model))
    np.testing.assert_allclose(own, boxes, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(sure[..., [0, 2]], scores[..., [1, 0]], rtol=1e-5)
    # A class that is new is as unlikely as in a new model.
    (_, fresh) = arrays(made(("dog", "cow", "cat"), 96).predictions(images))
    assert np.median(sure[..., 1]) == pytest.approx(np.median(fresh[..., 1]), rel=0.5)


def test_adapted_to_other_things_it_knows_none_of_them():
    start = shaken(made(("cat", "dog")))
    model = adapted(start, ["x", "y", "z"], 64)
    images = noise(1, 64, 64)
    (boxes, _), (own, sure) = (arrays(each.predictions(images)) for each in (start, model))
    np.testing.assert_allclose(own, boxes, rtol=1e-5, atol=1e-4)
    assert sure.max() < 0.3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"image_size": 100}, "image_size must be a multiple of 32, got 100", id="100"),
        pytest.param({"image_size": 0}, "image_size must be a multiple of 32, got 0", id="0"),
        pytest.param({"width": 6}, "width must be a multiple of 4 and at least 4, got 6", id="6"),
    ],
)
def test_refuses_what_makes_no_sense(settings, words):
    with pytest.raises(ValueError, match=words):
        YOLODetector(["a"], **settings)
