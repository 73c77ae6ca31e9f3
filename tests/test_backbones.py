import functools
import sys

import keras
import numpy as np
import pytest

from dlapps import backbones
from dlapps.errors import UserError

SIZE = 96
FAST = {"MobileNetV2", "MobileNetV3Small", "ResNet50", "VGG16"}
NAMES = [
    pytest.param(backbones.BUILT_IN, id=backbones.BUILT_IN),
    pytest.param(backbones.DARKNET, id=backbones.DARKNET),
    *(
        pytest.param(
            backbones.ONLINE + name, id=name, marks=() if name in FAST else pytest.mark.slow
        )
        for name in backbones.APPLICATIONS
    ),
]
every_backbone = pytest.mark.parametrize("name", NAMES)


@functools.cache
def network(name):
    return backbones.build(name).network


def shapes(model, size):
    """Returns the shapes that a model has for images of `size` pixels."""
    found = model.compute_output_spec(keras.KerasTensor((1, size, size, 3)))
    return [x.shape for x in found] if isinstance(found, list) else [found.shape]


@every_backbone
def test_a_backbone_ends_in_a_grid_whatever_the_size_of_the_images(name):
    assert network(name).input.shape == (None, None, None, 3)
    for cells in (2, 3, 5):
        ((batch, height, width, channels),) = shapes(network(name), cells * backbones.STRIDE)
        assert (batch, height, width) == (1, cells, cells)
        assert channels == network(name).output.shape[-1] >= 256


@every_backbone
def test_every_layer_with_weights_is_in_one_block_from_input_to_output(name):
    groups = backbones.blocks(network(name))
    grouped = [layer for group in groups for layer in group]
    assert len({id(layer) for layer in grouped}) == len(grouped)
    assert {id(layer) for layer in network(name).layers if layer.weights} <= set(map(id, grouped))
    places = [network(name).layers.index(layer) for layer in grouped]
    assert places == sorted(places)


@every_backbone
def test_there_are_blocks_to_unfreeze_and_each_has_weights(name):
    groups = backbones.blocks(network(name))
    assert len(groups) >= 5
    assert all(any(layer.weights for layer in group) for group in groups)
    largest = max(sum(layer.count_params() for layer in group) for group in groups)
    assert largest < 0.6 * network(name).count_params()


@every_backbone
def test_the_pyramid_names_grids_by_their_stride(name):
    levels = backbones.pyramid(network(name))
    assert [*levels] == [stride for stride in (2, 4, 8, 16, 32) if stride in levels]
    assert {4, 8, 16, 32} <= set(levels)
    names = [name for ends in levels.values() for name in ends]
    strides = [stride for stride, ends in levels.items() for _ in ends]
    ends = [network(name).get_layer(each).output for each in names]
    grids = shapes(keras.Model(network(name).input, ends), SIZE)
    for stride, grid in zip(strides, grids, strict=True):
        assert grid[1] == pytest.approx(SIZE / stride, rel=0.1)


@every_backbone
def test_the_pyramid_ends_where_the_backbone_does(name):
    last = [*backbones.pyramid(network(name)).values()][-1][-1]
    cut = keras.Model(network(name).input, network(name).get_layer(last).output)
    assert shapes(cut, SIZE) == shapes(network(name), SIZE)


@pytest.mark.parametrize("name", backbones.APPLICATIONS)
def test_the_normalization_is_that_of_the_application(name):
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.float32)
    module = sys.modules[getattr(keras.applications, name).__module__]
    settings = backbones.APPLICATIONS[name] or {}
    ours = backbones.ImageNormalization(**settings)(images)
    np.testing.assert_allclose(ours, module.preprocess_input(images.copy()), atol=1e-4)


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize(
    ("name", "channels"), [(backbones.BUILT_IN, 1280), (backbones.DARKNET, 512)]
)
def test_a_backbone_can_be_run_at_several_sizes(name, channels, size):
    built = backbones.build(name)
    images = np.zeros((2, size, size, 3), np.uint8)
    grid = built.network(built.normalization(images))
    assert grid.shape == (2, size // 32, size // 32, channels)


@pytest.mark.parametrize("name", [backbones.BUILT_IN, backbones.DARKNET])
def test_pretrained_weights_are_not_the_first_ones(name):
    built, learnt = (f(name) for f in (backbones.build, backbones.pretrained))
    first, trained = (x.network.get_weights() for x in (built, learnt))
    assert [x.shape for x in first] == [x.shape for x in trained]
    assert not any(np.array_equal(x, y) for x, y in zip(first, trained, strict=True))


@pytest.mark.parametrize("name", [backbones.BUILT_IN, backbones.DARKNET])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_a_part_of_a_backbone_takes_its_part_of_the_weights(name, stride):
    learnt, whole = backbones.pretrained(name).network, backbones.build(name).network
    end = whole.get_layer(backbones.pyramid(whole)[stride][0])
    part = keras.Model(whole.input, end.output)
    backbones.load_pretrained(name, part)
    assert 0 < len(part.weights) < len(learnt.weights)
    for layer in part.layers:
        theirs = learnt.get_layer(layer.name).get_weights() if layer.weights else []
        for ours, other in zip(layer.get_weights(), theirs, strict=True):
            np.testing.assert_array_equal(ours, other)


def test_a_backbone_of_keras_takes_its_weights_by_the_names_of_layers(monkeypatch):
    keras.utils.set_random_seed(0)
    learnt, network = (
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="one")]) for _ in "ab"
    )
    monkeypatch.setattr(keras.applications, "VGG16", lambda **_: learnt)
    backbones.load_pretrained("keras:VGG16", network)
    for ours, theirs in zip(network.get_weights(), learnt.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("function", [backbones.build, backbones.pretrained])
def test_a_name_that_is_none_is_refused_with_the_nearest(function):
    with pytest.raises(UserError, match=r"no backbone 'keras:VGG61'\. Did you mean 'keras:VGG16'"):
        function("keras:VGG61")
    with pytest.raises(UserError, match=r"no backbone 'x'\. 'dlapps models' lists them all"):
        function("x")
    backbones.check_name(backbones.BUILT_IN)


def test_a_download_that_fails_says_what_works_without_a_network(monkeypatch):
    def fail(**_):
        raise Exception("URL fetch failure on https://example.org: None -- no route")

    monkeypatch.setattr(keras.applications, "VGG16", fail)
    with pytest.raises(
        UserError, match=r"of keras:VGG16 could not .*--backbone efficientnet_lite0"
    ):
        backbones.pretrained("keras:VGG16")


def test_a_mistake_of_ours_is_not_taken_for_a_failed_download(monkeypatch):
    def fail(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(keras.applications, "VGG16", fail)
    with pytest.raises(ZeroDivisionError):
        backbones.pretrained("keras:VGG16")


@pytest.fixture
def downloading(tmp_path, monkeypatch, capsys):
    """Returns whether a download is announced, with one file in the folder of Keras' weights."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def announced(name, file=None):
        monkeypatch.setattr(keras.applications, name, lambda **_: keras.Sequential())
        if file is not None:
            (tmp_path / "models").mkdir()
            (tmp_path / "models" / file).touch()
        backbones.pretrained(backbones.ONLINE + name)
        return f"Downloading the weights of keras:{name} from Keras" in capsys.readouterr().err

    return announced


@pytest.mark.parametrize(
    ("name", "file"),
    [
        pytest.param("ConvNeXtTiny", "convnext_tiny_notop.h5", id="convnext"),
        pytest.param("EfficientNetV2B0", "efficientnetv2-b0_notop.h5", id="efficientnet"),
        pytest.param("MobileNetV2", "mobilenet_v2_weights_tf_dim_ordering_1.0.h5", id="mobilenet2"),
        pytest.param(
            "MobileNetV3Small",
            "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
            id="mobilenet3",
        ),
        pytest.param("ResNet50V2", "resnet50v2_weights_tf_kernels_notop.h5", id="resnet"),
        pytest.param("VGG16", "vgg16_weights_tf_kernels_notop.h5", id="vgg"),
    ],
)
def test_a_download_is_announced_only_if_the_weights_are_not_here(downloading, name, file):
    assert downloading(name)
    assert not downloading(name, file)


def test_the_weights_of_a_namesake_are_others(downloading):
    assert downloading("ResNet50", "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5")


@pytest.mark.parametrize("name", [backbones.BUILT_IN, backbones.DARKNET])
def test_the_built_in_backbones_are_never_downloaded(capsys, name):
    backbones.pretrained(name)
    assert capsys.readouterr().err == ""


def test_a_backbone_cut_in_two_sees_what_it_saw_whole():
    network = backbones.build(backbones.BUILT_IN).network
    trunk, rest = backbones.split(network, 5)
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(rest(trunk(images)), network(images), rtol=1e-4, atol=1e-4)


def test_a_backbone_without_a_block_to_leave_alone_is_not_cut():
    network = backbones.build(backbones.BUILT_IN).network
    assert backbones.split(network, len(backbones.blocks(network))) is None
