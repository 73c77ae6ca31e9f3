import hashlib

import keras
import numpy as np
import pytest

from dlapps import backbones
from dlapps.errors import UserError
from dlapps.weights import efficientnet_lite0
from dlapps.weights.pytorch import read_pytorch


@pytest.fixture(scope="module")
def tensors():
    found = read_pytorch(efficientnet_lite0.weights_file())
    return {name: x for name, x in found.items() if not name.endswith("num_batches_tracked")}


@pytest.fixture(scope="module")
def network():
    return backbones.pretrained(backbones.BUILT_IN).network


def test_the_file_is_the_known_one():
    data = efficientnet_lite0.weights_file().read_bytes()
    assert hashlib.sha256(data).hexdigest() == efficientnet_lite0.SHA256


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        pytest.param("SHA256", "0" * 64, "is not the file that .* 0.1.0 carries", id="another"),
        pytest.param(
            "FILE", "models/none.pth", "is not the file that .* 0.1.0 carries", id="no-file"
        ),
        pytest.param(
            "PACKAGE", "no_such_package", "no_such_package is missing. Install", id="none"
        ),
    ],
)
def test_another_file_is_refused(monkeypatch, name, value, words):
    monkeypatch.setattr(efficientnet_lite0, name, value)
    with pytest.raises(UserError, match=words):
        efficientnet_lite0.weights_file()


def test_every_tensor_becomes_one_weight(tensors, network):
    body = {name: x for name, x in tensors.items() if not name.startswith("_fc.")}
    assert len(body) == len(network.weights)
    assert sum(x.size for x in body.values()) == network.count_params()


def test_every_weight_is_the_tensor_of_its_place(tensors, network):
    body = iter([x for name, x in tensors.items() if not name.startswith("_fc.")])
    for layer in network.layers:
        for weight in layer.get_weights():
            tensor = next(body)
            assert sorted(weight.shape) == sorted(tensor.shape)
            np.testing.assert_array_equal(np.sort(weight.ravel()), np.sort(tensor.ravel()))


def test_a_kernel_is_turned_not_reshaped(tensors, network):
    stem = next(x for x in network.layers if isinstance(x, keras.layers.Conv2D))
    kernel = stem.get_weights()[0]  # (height, width, channels, filters)
    tensor = tensors["_conv_stem.weight"]  # (filters, channels, height, width)
    for filter_, channel, row, column in np.ndindex(tensor.shape):
        assert kernel[row, column, channel, filter_] == tensor[filter_, channel, row, column]


def test_batch_norms_take_their_four_tensors_in_order(tensors, network):
    norms = [x for x in network.layers if isinstance(x, keras.layers.BatchNormalization)]
    ours = (norms[0].gamma, norms[0].beta, norms[0].moving_mean, norms[0].moving_variance)
    for weight, name in zip(ours, ("weight", "bias", "running_mean", "running_var"), strict=True):
        np.testing.assert_array_equal(weight, tensors[f"_bn0.{name}"])
    assert all(layer.epsilon == pytest.approx(1e-3) for layer in norms)


def test_the_head_fits_the_features_and_the_labels(tensors, network):
    kernel, bias = efficientnet_lite0.head_weights()
    assert kernel.shape == (network.output.shape[-1], 1000)
    assert bias.shape == (1000,)
    np.testing.assert_array_equal(kernel.T, tensors["_fc.weight"])


def test_a_backbone_of_other_layers_is_refused(network):
    _, rest = backbones.split(network, 5)
    with pytest.raises(ValueError, match="not compatible with provided weight shape"):
        efficientnet_lite0.load_backbone(rest)
