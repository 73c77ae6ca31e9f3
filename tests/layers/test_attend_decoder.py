import numpy as np

from dlapps.layers.attend_decoder import AttendDecoder
from tests.contract import check_layer

RNG = np.random.default_rng(0)
REGIONS = RNG.normal(size=(2, 4, 5)).astype(np.float32)
WORDS = np.array([[1, 3, 4, 5], [1, 6, 3, 3]], np.int32)


def made():
    decoder = AttendDecoder(7, embedding=6, units=8, attention=5, dropout=0.5)
    decoder.build(REGIONS.shape, WORDS.shape)
    return decoder


def test_keeps_the_contract_of_layers():
    check_layer(AttendDecoder(7, embedding=6, units=8, attention=5, dropout=0.5), REGIONS, WORDS)


def test_reading_word_by_word_gives_what_reading_at_once_gives():
    decoder = made()
    logits = decoder(REGIONS, WORDS)
    states = [np.expand_dims(each, 1) for each in decoder.start(REGIONS)]
    read = decoder.reader(REGIONS)
    for time in range(4):
        one, states = read(WORDS[:, time : time + 1], states)
        np.testing.assert_allclose(one[:, 0], logits[:, time], rtol=1e-4, atol=1e-5)


def test_without_a_loop_it_reads_the_same():
    decoder = made()
    logits, _ = decoder.read(REGIONS, WORDS, unroll=True)
    np.testing.assert_allclose(logits, decoder(REGIONS, WORDS), rtol=1e-4, atol=1e-5)


def test_no_word_is_foretold_from_itself_or_later_ones():
    decoder = made()
    other = WORDS.copy()
    other[:, 2:] = 2
    np.testing.assert_allclose(
        decoder(REGIONS, other)[:, :2], decoder(REGIONS, WORDS)[:, :2], rtol=1e-5
    )


def test_every_word_depends_on_the_picture():
    decoder = made()
    changed = np.abs(decoder(REGIONS[::-1].copy(), WORDS) - decoder(REGIONS, WORDS)).max(axis=-1)
    assert changed.min() > 1e-4


def test_a_closed_gate_keeps_the_context_out():
    decoder = made()
    decoder(REGIONS, WORDS)
    decoder.gate.set_weights([np.zeros((8, 1)), np.full(1, -50.0)])
    states = [np.expand_dims(each, 1) for each in decoder.start(REGIONS)]
    one, _ = decoder.reader(REGIONS)(WORDS[:, :1], states)
    other, _ = decoder.reader(REGIONS[::-1].copy())(WORDS[:, :1], states)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_drops_in_training_only():
    decoder = made()
    assert np.abs(decoder(REGIONS, WORDS, training=True) - decoder(REGIONS, WORDS)).max() > 1e-3
    np.testing.assert_array_equal(decoder(REGIONS, WORDS), decoder(REGIONS, WORDS))
