"""Shows during training what the model can do so far."""

from collections.abc import Callable
from typing import Any

import keras


class ShowSample(keras.callbacks.Callback):
    """Shows one sample of the model's work every few epochs.

    A falling loss says that training works; a sample says what has been learnt.

    Args:
        make: Called without arguments; returns the text of one sample.
        show: Called with the number of epochs done and that text.
        every: Epochs from one sample to the next.
    """

    def __init__(self, make: Callable[[], str], show: Callable[[int, str], None], every: int = 1):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1 epoch, got {every}.")
        self.make = make
        self.show = show
        self.every = every

    def on_epoch_end(self, epoch, logs=None):
        done = epoch + 1  # Keras counts epochs from 0.
        if done % self.every == 0:
            self.show(done, self.make())

    def get_state(self) -> dict[str, Any]:
        """Returns nothing: every sample is made anew."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Does nothing; see `get_state`."""
