import numpy as np
import pytest

from dlapps import backbones, darknet
from dlapps.weights import yolov4_tiny
from dlapps.weights.darknet import load_weights, read_cfg, sections_of


@pytest.fixture(scope="module")
def backbone():
    return backbones.pretrained(backbones.DARKNET)


def test_sees_what_the_first_layers_of_the_whole_network_see(backbone):
    sections = sections_of(read_cfg(yolov4_tiny.file("yolov4-tiny.cfg")))
    whole = darknet.network(sections)
    load_weights(whole, yolov4_tiny.file("yolov4-tiny.weights"))
    begin = darknet.network(sections[:30])
    for layer in begin.layers:
        layer.set_weights(whole.get_layer(layer.name).get_weights() if layer.weights else [])
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    seen = backbone.network(backbone.normalization(images))
    np.testing.assert_allclose(seen, begin(images / np.float32(255)), rtol=1e-4, atol=1e-4)


def test_every_stage_is_a_block(backbone):
    groups = backbones.blocks(backbone.network)
    assert len(groups) == 6
    levels = backbones.pyramid(backbone.network)
    channels = {
        stride: [backbone.network.get_layer(name).output.shape[-1] for name in names]
        for stride, names in levels.items()
    }
    assert channels == {2: [32], 4: [128], 8: [256], 16: [512], 32: [512, 512]}


def test_a_block_ends_behind_its_activation(backbone):
    ends = [backbone.network.get_layer(n) for n in backbones.pyramid(backbone.network)[32]]
    assert all(end.name.endswith("_leaky") for end in ends)
    assert ends[-1].output is backbone.network.output


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 4, 5])
def test_cut_in_two_it_sees_what_it_saw_whole(backbone, num_blocks):
    trunk, rest = backbones.split(backbone.network, num_blocks)
    images = np.random.default_rng(0).uniform(size=(1, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(rest(trunk(images)), backbone.network(images), rtol=1e-4, atol=1e-4)
