import keras
import numpy as np
import pytest

from dlapps import backbones
from dlapps.apps.classify.model import ImageClassifier
from dlapps.layers.classifier_tail import ClassifierTail


@pytest.fixture
def whole():
    made = ImageClassifier(["cat", "dog"], image_size=64, smoothing=0.2)
    made.build((None, 64, 64, 3))
    made.head.logits.kernel.assign(
        np.random.default_rng(0).normal(size=made.head.logits.kernel.shape)
    )
    return made


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)


@pytest.mark.parametrize("num_blocks", [2, 9])
def test_on_what_the_first_blocks_saw_it_answers_as_the_whole(whole, images, num_blocks):
    trunk, late = backbones.split(whole.network, num_blocks)
    grid, *early = trunk(whole.normalization(images))
    tail = ClassifierTail(late, whole.head)
    np.testing.assert_allclose(
        tail((grid, whole.means(early))), whole(images), rtol=1e-4, atol=1e-4
    )


def test_what_it_learns_the_whole_knows(whole, images):
    whole.unfreeze(2)
    trunk, late = backbones.split(whole.network, 2)
    grid, *early = (keras.ops.convert_to_numpy(x) for x in trunk(whole.normalization(images)))
    tail = ClassifierTail(late, whole.head)
    tail.compile(keras.optimizers.Adam(0.01))
    before = {weight.path: weight.numpy() for weight in whole.weights}
    inputs = (grid, keras.ops.convert_to_numpy(whole.means(early)))
    tail.fit(inputs, np.array([0, 1]), epochs=2, verbose=0)
    changed = {w.path for w in whole.weights if not np.array_equal(before[w.path], w.numpy())}
    followed = whole.head.standardization.moving_mean.path
    assert changed == {followed, *(weight.path for weight in whole.trainable_weights)}


def test_its_loss_is_that_of_the_whole(whole, images):
    trunk, late = backbones.split(whole.network, 2)
    grid, *early = trunk(whole.normalization(images))
    tail = ClassifierTail(late, whole.head)
    for training in (False, True):
        ours, theirs = (
            float(model.compute_loss(None, np.array([0, 1]), logits, training=training))
            for model, logits in (
                (tail, tail((grid, whole.means(early)))),
                (whole, whole(images)),
            )
        )
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_fit_validates_it_and_the_whole_without_smoothing(whole, images):
    trunk, late = backbones.split(whole.network, 2)
    grid, *early = trunk(whole.normalization(images))
    labels = np.array([0, 1])
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, whole(images))
    inputs = (np.asarray(grid), np.asarray(whole.means(early)))
    for model, x in ((ClassifierTail(late, whole.head), inputs), (whole, images)):
        model.compile()
        assert model.evaluate(x, labels, verbose=0) == pytest.approx(float(plain), rel=1e-4)


def test_survives_its_config(whole):
    late = backbones.split(whole.network, 2)[1]
    again = ClassifierTail.from_config(ClassifierTail(late, whole.head).get_config())
    assert again.head.smoothing == 0.2
    assert [each.name for each in again.late.layers] == [each.name for each in late.layers]
