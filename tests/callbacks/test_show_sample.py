import itertools

import pytest

from dlapps.callbacks.show_sample import ShowSample
from tests.callbacks.trainings import fit, network, split


def shown(every=1, epochs=4, **settings):
    """Trains; returns what was shown, each sample made with the next number."""
    made, seen = itertools.count(), []
    callback = ShowSample(lambda: f"sample {next(made)}", lambda *args: seen.append(args), every)
    fit(network(), [callback], epochs, **settings)
    return seen


def test_shows_a_sample_at_the_end_of_each_epoch():
    assert shown(epochs=3) == [(1, "sample 0"), (2, "sample 1"), (3, "sample 2")]


def test_makes_a_sample_only_in_the_epochs_that_show_one():
    assert shown(every=2, epochs=5) == [(2, "sample 0"), (4, "sample 1")]
    assert shown(every=6, epochs=5) == []


def test_a_training_that_goes_on_counts_on():
    assert [epoch for epoch, _ in shown(every=2, epochs=5, initial_epoch=3)] == [4]


def test_a_training_broken_off_shows_what_it_would_have_shown(tmp_path):
    seen = []
    make = lambda: [ShowSample(str, lambda *args: seen.append(args), 2)]  # noqa: E731
    split(tmp_path, network(), make, epoch=1, step=3, epochs=4)
    assert seen == [(2, ""), (4, "")]


def test_the_sample_is_made_of_the_model_as_it_is_then():
    model, seen = network(), []
    callback = ShowSample(lambda: model.get_weights()[0], lambda _, made: seen.append(made))
    fit(model, [callback], 2)
    assert (seen[0] != seen[1]).any()
    assert (seen[1] == model.get_weights()[0]).all()


@pytest.mark.parametrize("every", [0, -1])
def test_an_every_below_1_is_refused(every):
    with pytest.raises(ValueError, match=f"every must be at least 1 epoch, got {every}"):
        ShowSample(str, print, every)
