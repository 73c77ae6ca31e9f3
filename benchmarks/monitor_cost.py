"""Times training steps with all monitors at their defaults against `fit` without any.

    python benchmarks/monitor_cost.py [--epochs 3] [--only generate]

Two copies of each network train in turn, a step each, in one process, so that both meet the same
moods of the machine; the cost is the median over the epochs of how much longer the one with
monitors took, all it does between steps and at the end of the epoch included. Two copies of the
same network differ by a percent or two, by where they lie in memory, so this is done again with the
other of the two watched. Epochs have the steps that they have in real trainings: fine-tuning the
last blocks on 2135 pictures, a head on two views of them, the default char-RNN on a megabyte of
text, a detector on 205 pictures, a decoder of captions of Flickr8k's length.
"""

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from dlapps import backbones, terminal
from dlapps.apps.caption import model as caption
from dlapps.apps.caption.phases import unfrozen
from dlapps.apps.classify.model import new_model
from dlapps.apps.detect import model as detect
from dlapps.apps.generate.model import CharRNN
from dlapps.callbacks.activation_monitor import ActivationMonitor
from dlapps.callbacks.divergence_guard import DivergenceGuard
from dlapps.callbacks.early_stopping import EarlyStopping
from dlapps.callbacks.full_state_checkpoint import FullStateCheckpoint
from dlapps.callbacks.gradient_clipping import GradientClipping
from dlapps.callbacks.learning_rate_decay import LearningRateDecay
from dlapps.callbacks.progress import Progress
from dlapps.callbacks.run_recorder import RunRecorder
from dlapps.callbacks.update_ratio_logger import UpdateRatioLogger
from dlapps.data.array_batches import untuned
from dlapps.layers.caption_learner import CaptionLearner
from dlapps.layers.classifier_tail import ClassifierTail
from dlapps.optimizers import optimizer

# That `--finetune` frees on the flowers.
BLOCKS = 6


class Turns(keras.callbacks.Callback):
    """Lets two trainings go on in turn, a step each, and takes their times; stands first."""

    def __init__(self, shared, own, sides=2):
        super().__init__()
        self.shared, self.own, self.sides = shared, own, sides
        self.spent, self.started = 0.0, None
        self.seconds = []  # By epoch.

    def on_epoch_begin(self, epoch, logs=None):
        self._take()

    def on_train_batch_begin(self, batch, logs=None):
        self._take()

    def on_epoch_end(self, epoch, logs=None):
        self._take()

    def _take(self):
        if self.started is None:
            with self.shared["passed"]:
                self.shared["passed"].wait_for(lambda: self.shared["next"] == self.own)
            self.started = time.perf_counter()

    def hand_over(self):
        """Lets the other go on."""
        self.spent += time.perf_counter() - self.started
        self.started = None
        with self.shared["passed"]:
            self.shared["next"] = (self.own + 1) % self.sides
            self.shared["passed"].notify_all()


class Passes(keras.callbacks.Callback):
    """Stands last in the list, and hands the turn over."""

    def __init__(self, turns):
        super().__init__()
        self.turns = turns

    def on_train_batch_end(self, batch, logs=None):
        self.turns.hand_over()

    def on_epoch_end(self, epoch, logs=None):
        self.turns.hand_over()
        self.turns.seconds.append(self.turns.spent)
        self.turns.spent = 0.0


def monitors(folder, look_at, steps):
    """Returns all monitors, as `training.fit` sets them up."""
    watched = [GradientClipping(None), UpdateRatioLogger()]
    if look_at is not None:
        watched.append(ActivationMonitor(look_at))
    found = [
        Progress(lambda line: None, terminal.progress, 100, steps),
        LearningRateDecay("cosine", 1e-5, 100.0, warm_up=10.0, steps=steps),
        DivergenceGuard(show=print),
        *watched,
        RunRecorder(folder / "history.csv", "benchmark", watched[1:]),
        EarlyStopping("loss"),
    ]
    companions = {str(k): each for k, each in enumerate(found)}
    return [*found, FullStateCheckpoint(folder / "state.npz", companions, steps=steps)]


def measure(make, loss, data, look_at, epochs, steps, watched, **compile_settings):
    """Returns the times of the epochs without and with monitors, in pairs.

    The one of the two copies that is `watched`, 0 or 1, has monitors.
    """
    shared = {"passed": threading.Condition(), "next": 0}
    sides = [Turns(shared, own) for own in range(2)]
    models = [make() for _ in sides]

    def train(turns, folder):
        model = models[turns.own]
        model.compile(
            optimizer("adamw", 1e-5),
            loss,
            jit_compile=False,
            **compile_settings,
        )
        model.optimizer.build(model.trainable_variables)
        watching = monitors(folder, look_at, steps) if turns.own == watched else []
        callbacks = [turns, *watching, Passes(turns)]
        model.fit(
            data, epochs=epochs + 1, steps_per_epoch=steps, verbose=0, shuffle=False,
            callbacks=callbacks,
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        threads = [threading.Thread(target=train, args=(side, Path(folder))) for side in sides]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # The first epoch compiles.
    without, with_all = sides[1 - watched], sides[watched]
    return list(zip(without.seconds[1:], with_all.seconds[1:], strict=True))


def finetuning():
    """Returns the classifier as `--finetune` trains it on the flowers, on grids that are kept."""
    model = new_model([*"abcde"], "efficientnet_lite0", 224, 0.5, 0.2)
    model.unfreeze(BLOCKS)
    return ClassifierTail(backbones.split(model.network, BLOCKS)[1], model.head)


def kept_grids(images):
    """Returns what the frozen blocks of the classifier see, as `finetuning` takes it."""
    model = new_model([*"abcde"], "efficientnet_lite0", 224, 0.5, 0.2)
    grid, *early = backbones.split(model.network, BLOCKS)[0](model.normalization(images))
    arrays = (grid, model.means(early))
    return tuple(map(keras.ops.convert_to_numpy, arrays))


def char_rnn():
    """Returns the generator's default network for 65 characters."""
    model = CharRNN("".join(map(chr, range(33, 98))), units=256, depth=1, dropout=0.1)
    model.build((None, None))
    return model


def head():
    """Returns the classifier's head."""
    return new_model([*"abcde"], "efficientnet_lite0", 224, 0.2, 0.1).head


def detector():
    """Returns the detector as `--finetune` trains it on three kinds of cells."""
    model = detect.new_model([*"abc"], "efficientnet_lite0", 320, 64, 1)
    model.unfreeze(14)
    return model


def decoder():
    """Returns the captioner's default decoder for as many words as Flickr8k's captions hold."""
    words = [f"word{k}" for k in range(2500)]
    model = caption.new_model(words, np.ones(len(words)), {})
    unfrozen(model, 0)
    learner = CaptionLearner(model, smoothing=0.1)
    learner.build(None)
    return learner


def cases(epochs):
    """Returns of each case what makes the model, its loss, a batch, what to look at, and so on."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 224, 224, 3)).astype(np.uint8)
    labels = rng.integers(0, 5, 32)
    rows = rng.normal(size=(256, head().logits.kernel.shape[0])).astype(np.float32)
    ids = rng.integers(0, 65, (32, 64)).astype(np.int32)
    canvases = rng.integers(0, 256, (16, 320, 320, 3)).astype(np.uint8)
    corners = rng.uniform(0, 250, (16, 32, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + rng.uniform(10, 70, (16, 32, 2))], -1)
    true = boxes.astype(np.float32), rng.integers(0, 3, (16, 32)).astype(np.int32)
    captioner = decoder().captioner
    seen = rng.normal(size=(128, *captioner.regions(images[:1]).shape[1:])).astype(np.float16)
    words = rng.integers(3, 2500, (128, 12)).astype(np.int32)
    grids = kept_grids(images)
    few = tuple(each[:8] for each in grids)
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    many, some = {"steps_per_execution": 16}, {"steps_per_execution": 8}
    return {
        "finetune": (finetuning, None, (grids, labels), few, epochs, 67, {}),
        "head": (head, None, (rows, np.tile(labels, 8)), None, 20, 17, many),
        "generate": (char_rnn, crossentropy, (ids, ids), ids[:8, :16], epochs, 489, some),
        "detect": (detector, None, (canvases, true), canvases[:4], 3 * epochs, 13, {}),
        "caption": (decoder, None, ((seen, words), words), None, epochs, 234, {}),
    }


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    names = ("finetune", "head", "generate", "detect", "caption")
    parser.add_argument("--only", choices=names)
    settings = parser.parse_args()
    print("training   without (ms/step)   with   cost")
    for name, (make, loss, batch, look_at, epochs, steps, more) in cases(settings.epochs).items():
        if settings.only in (None, name):
            data = untuned(tf.data.Dataset.from_tensors(batch).repeat())
            pairs = [
                pair
                for watched in (1, 0)
                for pair in measure(make, loss, data, look_at, epochs, steps, watched, **more)
            ]
            without, with_all = (statistics.median(side) for side in zip(*pairs, strict=True))
            cost = statistics.median(b / a - 1 for a, b in pairs)
            unit = 1000 / steps
            print(f"{name:10} {without * unit:10.2f} {with_all * unit:14.2f} {cost:+8.1%}")


if __name__ == "__main__":
    main()
