import numpy as np

from dlapps.layers.show_tell_decoder import ShowTellDecoder
from tests.contract import check_layer

RNG = np.random.default_rng(0)
REGIONS = RNG.normal(size=(2, 4, 5)).astype(np.float32)
WORDS = np.array([[1, 3, 4, 5], [1, 6, 3, 3]], np.int32)


def made():
    decoder = ShowTellDecoder(7, embedding=6, units=8, dropout=0.5)
    decoder.build(REGIONS.shape, WORDS.shape)
    return decoder


def test_keeps_the_contract_of_layers():
    check_layer(ShowTellDecoder(7, embedding=6, units=8, dropout=0.5), REGIONS, WORDS)


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


def test_the_picture_enters_with_the_first_word_and_no_later_one():
    decoder = made()
    picture, *states = decoder.start(REGIONS)
    assert np.abs(picture).max() > 0
    before = [np.expand_dims(each, 1) for each in (picture, *states)]
    _, after = decoder.reader(REGIONS)(WORDS[:, :1], before)
    assert np.abs(after[0]).max() == 0


def test_drops_in_training_only():
    decoder = made()
    assert np.abs(decoder(REGIONS, WORDS, training=True) - decoder(REGIONS, WORDS)).max() > 1e-3
    np.testing.assert_array_equal(decoder(REGIONS, WORDS), decoder(REGIONS, WORDS))
