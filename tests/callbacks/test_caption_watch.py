import keras
import numpy as np
import pytest

from dlapps.callbacks.caption_watch import CaptionWatch


class Logs(keras.callbacks.Callback):
    """Keeps what stands in the logs at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(dict(logs))


def watched(captions, epochs=1, **settings):
    """Trains a small model under a watch; returns the lines shown and the logs of each epoch."""
    lines, logs = [], Logs()
    each = iter(captions)
    watch = CaptionWatch(
        lambda: next(each), lambda told: {"val_cider": len(told) / 10}, lines.append, **settings
    )
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=epochs, verbose=0, callbacks=[watch, logs])
    return lines, logs.seen, watch


def test_adds_its_measures_to_the_logs_and_shows_captions():
    lines, logs, _ = watched([["a dog", "a cat", "a man", "a boat"]], shown=2)
    assert logs[0]["val_cider"] == 0.4
    assert lines == ["  val_cider 0.4000", "  Picture 1: a dog", "  Picture 2: a cat"]


def test_measures_in_each_epoch_and_shows_in_some():
    told = [[f"epoch {k}", "x"] for k in range(4)]
    lines, logs, _ = watched(told, epochs=4, every=2, shown=1)
    assert len(logs) == 4
    assert [line for line in lines if "Picture" in line] == [
        "  Picture 1: epoch 1", "  Picture 1: epoch 3",
    ]  # fmt: skip


def test_notices_once_that_all_captions_have_become_one():
    one, many = ["a man"] * 19 + ["a dog"], [f"a {k}" for k in range(20)]
    lines, _, _ = watched([many, one, one, many, one], epochs=5, shown=0)
    warnings = [line for line in lines if line.startswith("Warning")]
    assert len(warnings) == 2  # Once each time it begins.
    assert '20 pictures have 2 different captions, 19 of them "a man"' in warnings[0]


def test_few_pictures_may_have_one_caption():
    lines, _, _ = watched([["a man"] * 9])
    assert not any(line.startswith("Warning") for line in lines)


def test_its_state_tells_whether_it_has_warned():
    _, _, watch = watched([["a man"] * 20])
    other = CaptionWatch(list, dict, print)
    other.set_state(watch.get_state())
    assert other.collapsed


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"every": 0}, "every must be at least 1"), ({"fewest": 2}, r"fewest must be in \[0, 1\]")],
)
def test_impossible_settings_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        CaptionWatch(list, dict, print, **settings)
