import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps import saving
from dlapps.apps.generate.model import CharRNN, extended, load_model, new_model
from dlapps.apps.generate.phases import ContinuedCharRNN
from tests.apps.generate.tiny import UNITS, VARIANTS, made

CELLS = ("lstm", "gru", "rnn")
IDS = np.random.default_rng(0).integers(0, 5, (3, 12)).astype(np.int32)
EVERY = [
    pytest.param({"cell": cell, **settings}, id=f"{cell}-{name}")
    for cell in CELLS
    for name, settings in VARIANTS.items()
]


def assert_close(one, other, **settings):
    one, other = (keras.ops.convert_to_numpy(each) for each in (one, other))
    np.testing.assert_allclose(one, other, **{"atol": 1e-5, **settings})


@pytest.mark.parametrize("settings", EVERY)
def test_reading_in_two_parts_is_reading_at_once(settings):
    model = made(**settings)
    logits, states = model.read(IDS)
    assert logits.shape == (3, 12, 5)
    count = 2 if settings["cell"] == "lstm" else 1
    assert [[tuple(state.shape) for state in layer] for layer in states] == [
        [(3, UNITS)] * count
    ] * 2
    first, between = model.read(IDS[:, :5])
    second, after = model.read(IDS[:, 5:], between)
    assert_close(np.concatenate([first, second], axis=1), logits)
    for ours, theirs in zip(after, states, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert_close(one, other)


@pytest.mark.parametrize("settings", EVERY)
def test_one_file_is_the_whole_model(settings, tmp_path):
    model = made(**settings)
    saving.save(model, tmp_path / "model.keras")
    again = load_model(str(tmp_path / "model.keras"))
    assert again.get_config() == model.get_config()
    assert_close(again(IDS), model(IDS), atol=0, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_a_character_does_not_depend_on_those_after_it_nor_on_other_texts(cell):
    model = made(cell=cell)
    changed = IDS.copy()
    changed[:, 8:] = (changed[:, 8:] + 1) % 5
    changed[1:] = 0
    before, after = np.array(model(IDS)), np.array(model(changed))
    assert_close(after[0, :8], before[0, :8])
    assert np.abs(after[0, 8:] - before[0, 8:]).max() > 1e-3


@pytest.mark.parametrize("count", [5, 300])
@pytest.mark.parametrize("embedding", [0, 7])
def test_the_first_layer_reads_a_table_as_it_would_read_vectors(count, embedding):
    """With many characters the table's rows are gathered, with few they are multiplied out."""
    characters = "".join(map(chr, range(1000, 1000 + count)))
    model = made(characters, depth=1, embedding=embedding)
    ids = np.random.default_rng(1).integers(0, count, (3, 12))
    plain = keras.layers.LSTM(UNITS, return_sequences=True)
    vectors = model.vectors(ids) if embedding else np.eye(count, dtype=np.float32)[ids]
    plain.build(vectors.shape)
    plain.set_weights(model.recurrent[0].get_weights())
    assert_close(model(ids), model.logits(plain(vectors)))


def test_a_cell_that_is_none_is_refused():
    with pytest.raises(ValueError, match="cell must be one of lstm, gru, rnn, got 'lstn'"):
        CharRNN("abc", cell="lstn")


@pytest.mark.parametrize("embedding", [0, 5])
def test_tied_needs_vectors_as_wide_as_the_layers(embedding):
    with pytest.raises(
        ValueError, match=f"tied needs an embedding of 8, the units, got {embedding}"
    ):
        CharRNN("abc", units=8, embedding=embedding, tied=True)


def test_tied_weights_are_fewer():
    tied, free = (made(embedding=UNITS, tied=tied) for tied in (True, False))
    assert free.count_params() - tied.count_params() == UNITS * 5


@pytest.mark.parametrize("settings", EVERY)
def test_the_first_loss_is_near_what_chance_gives(settings):
    keras.utils.set_random_seed(0)
    model = new_model("abcde", {"units": UNITS, "depth": 2, **settings})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    tolerance = 1.0 if settings.get("tied") or settings.get("layer_norm") else 0.2
    assert float(loss(IDS, model(IDS))) == pytest.approx(np.log(5), abs=tolerance)


@pytest.mark.parametrize("settings", EVERY)
def test_every_weight_learns(settings):
    model = made(**settings)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        value = loss((IDS + 1) % 5, model(IDS, training=True))
    gradients = tape.gradient(value, [weight.value for weight in model.trainable_weights])
    for weight, gradient in zip(model.weights, gradients, strict=True):
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, weight.path


@pytest.mark.parametrize("dropouts", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}])
@pytest.mark.parametrize("cell", CELLS)
def test_dropout_is_for_training_alone(cell, dropouts):
    model = made(cell=cell, **dropouts)
    assert_close(model(IDS), made(cell=cell)(IDS))
    one, other = (np.array(model(IDS, training=True)) for _ in range(2))
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("settings", EVERY)
def test_half_precision_is_near_and_gives_whole_logits(settings, policy):
    model, half = made(**settings), made(**settings, dtype=policy)
    logits = half(IDS)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert_close(logits, model(IDS), atol=0.1)


@pytest.mark.parametrize("name", ["one-hot", "embedding", "tied"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_model_of_more_characters_says_of_the_old_ones_what_it_said(cell, name):
    model = made(cell=cell, **VARIANTS[name])
    more = extended(model, "abcdexyz")
    assert more.characters == "abcdexyz"
    assert_close(np.array(more(IDS))[..., :5], model(IDS))
    assert_close(model(IDS), made(cell=cell, **VARIANTS[name])(IDS))


@pytest.mark.parametrize("name", ["one-hot", "embedding", "tied"])
def test_new_characters_begin_as_unlikely_as_the_rarest(name):
    model = made(**VARIANTS[name])
    bias = model.bias if name == "tied" else model.logits.bias
    bias.assign([0, -6, 1, 2, 3])  # As if the second had hardly ever been seen.
    more = extended(model, "abcdexyz")
    logits = np.array(more(IDS))
    assert_close(logits[..., 5:], np.full((3, 12, 3), -6.0))
    assert np.isfinite(more(IDS + 3)).all()  # New characters can be read.


def test_a_model_with_no_new_characters_is_the_same():
    model = made()
    more = extended(model, "abcde")
    assert more is not model
    assert_close(more(IDS), model(IDS), atol=0, rtol=0)


@pytest.fixture(params=CELLS)
def continued(request):
    reader = made(cell=request.param)
    return ContinuedCharRNN(reader, rows=3)


NO, YES = np.zeros(3, bool), np.ones(3, bool)


def test_two_batches_are_one_long_reading(continued):
    whole = np.array(continued.reader(IDS))
    assert_close(continued((IDS[:, :5], YES), training=True), whole[:, :5])
    assert_close(continued((IDS[:, 5:], NO), training=True), whole[:, 5:])


def test_a_row_that_begins_anew_forgets(continued):
    whole, second = np.array(continued.reader(IDS)), np.array(continued.reader(IDS[:, 5:]))
    continued((IDS[:, :5], YES), training=True)
    logits = np.array(continued((IDS[:, 5:], np.array([True, False, True])), training=True))
    assert_close(logits[[0, 2]], second[[0, 2]])
    assert_close(logits[1], whole[1, 5:])


def test_validation_reads_from_the_start_and_leaves_the_states(continued):
    continued((IDS[:, :5], YES), training=True)
    before = [state.numpy() for layer in continued.states for state in layer]
    assert any(state.any() for state in before)
    # Of another number of rows too.
    assert_close(continued((IDS[:2], NO[:2])), continued.reader(IDS[:2]))
    after = [state.numpy() for layer in continued.states for state in layer]
    np.testing.assert_array_equal(before, after)


def test_what_it_learns_the_reader_knows(continued):
    before = continued.reader.get_weights()
    continued.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    continued.train_on_batch((IDS, YES), (IDS + 1) % 5)
    for weight, old in zip(continued.reader.weights, before, strict=True):
        assert (weight.numpy() != old).any(), weight.path
    states = {id(state) for layer in continued.states for state in layer}
    assert not states & {id(weight) for weight in continued.trainable_weights}


def test_the_config_of_a_continued_model_makes_it_again(continued):
    again = ContinuedCharRNN.from_config(continued.get_config())
    assert again.reader.get_config() == continued.reader.get_config()
