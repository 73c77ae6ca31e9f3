"""Measures the captions of a model while it learns, and notices when they all become one."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from dlapps.callbacks._updates import Show


class CaptionWatch(keras.callbacks.Callback):
    """Adds measures of captions of fixed pictures to the logs, and shows some of them.

    A captioner that has ceased to look gives every picture the same caption, and its loss hardly
    tells: so how many differ is watched, and too few are named, with what helps.

    It stands before callbacks that record or judge the logs, and after any that changes the
    weights for validation.

    Args:
        tell: Called without arguments; returns the captions of the pictures, in their order.
        judge: Called with them; returns measures by name.
        show: Called with lines for the user, such as `click.echo`.
        every: Epochs from one showing of captions to the next; they are measured in each.
        shown: How many captions to show.
        fewest: Part of the captions that must differ, in [0, 1].
    """

    def __init__(
        self,
        tell: Callable[[], Sequence[str]],
        judge: Callable[[Sequence[str]], Mapping[str, float]],
        show: Show,
        every: int = 1,
        shown: int = 3,
        fewest: float = 0.1,
    ):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch, got {every}.")
        if not 0 <= fewest <= 1:
            raise ValueError(f"fewest must be in [0, 1], got {fewest}.")
        self.tell = tell
        self.judge = judge
        self.show = show
        self.every = every
        self.shown = shown
        self.fewest = fewest
        self.collapsed = False

    def on_epoch_end(self, epoch, logs=None):
        captions = [*self.tell()]
        measures = dict(self.judge(captions))
        if logs is not None:
            logs.update(measures)
        self.show("  " + "  ".join(f"{name} {value:.4f}" for name, value in measures.items()))
        if (epoch + 1) % self.every == 0:
            for number, caption in enumerate(captions[: self.shown], start=1):
                self.show(f"  Picture {number}: {caption}")
        self._notice(captions)

    def _notice(self, captions):
        counts = Counter(captions)
        # Few pictures may well be alike.
        collapsed = len(captions) >= 10 and len(counts) <= self.fewest * len(captions)
        if collapsed and not self.collapsed:
            caption, count = counts.most_common(1)[0]
            self.show(
                f"Warning: {len(captions)} pictures have {len(counts)} different captions, {count} "
                f'of them "{caption}". The decoder does not look at the picture. If this stays so '
                "after a few epochs, use --decoder attend, a lower --learning-rate or more data."
            )
        self.collapsed = collapsed

    def get_state(self) -> dict[str, Any]:
        """Returns whether the captions had become one."""
        return {"collapsed": self.collapsed}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes what `get_state` returned."""
        self.collapsed = state["collapsed"]
