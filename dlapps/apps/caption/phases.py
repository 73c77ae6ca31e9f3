"""The phases of the captioner's training: the decoder on what a frozen network saw, then both."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from dlapps import backbones, runs, terminal, training
from dlapps.apps.caption.config import Config
from dlapps.apps.caption.data import Dataset, flips
from dlapps.apps.caption.metrics import Cider
from dlapps.apps.caption.model import END, Captioner
from dlapps.data.caption_batches import (
    caption_batches,
    captions_in_order,
    pictures_in_order,
    rewarded_captions,
    shuffled_pictures,
)
from dlapps.data.vocabulary import numbered
from dlapps.data.whole_views import WholeViews
from dlapps.data.words import words
from dlapps.errors import UserError
from dlapps.layers.caption_learner import CaptionLearner

# Pictures a step where the backbone learns, too.
PICTURES = 32
# Cells from which mean and scale are learnt; more change nothing.
MEASURED_CELLS = 50_000
# Captions of each picture in a step that sees the picture itself.
CAPTIONS = 5
# Captions drawn of each picture for --reward.
DRAWN = 5


def learn_decoder(
    model: Captioner, grids: Sequence[np.ndarray], dataset: Dataset, held_out: np.ndarray,
    epochs: int, config: Config, run: runs.Run, more: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Trains the decoder on what the frozen backbone sees.

    Args:
        model: Its decoder learns.
        grids: What its backbone sees, of each view `(pictures, regions, features)`.
        dataset: Readable pictures with captions.
        held_out: `(pictures, regions, features)`, of those to validate on.
        epochs: Passes over the captions.
        config: The hyperparameters.
        run: Where to write.
        more: More of `training.fit`: `save`, callbacks.

    Returns:
        The measures of the best epoch.
    """
    step = max(1, len(grids[0]) * grids[0].shape[1] // MEASURED_CELLS)
    model.standardize(grids[0][::step].reshape(-1, grids[0].shape[-1]).astype(np.float32))
    captions, true = (
        numbered(part, model.vocabulary, model.longest)
        for part in (dataset.train, dataset.validation)
    )
    if config.overfit_batches:
        epochs = max(epochs, math.ceil(150 / config.overfit_batches))
    data = caption_batches(
        grids, captions, config.batch_size, config.seed, not config.deterministic
    )
    if config.fast_dev_run:
        data.steps, epochs = 1, 1
    unfrozen(model, 0)
    learner = _learner(model, False, config, epochs * data.steps)
    phase = _phase("decoder", epochs, config.learning_rate, config, len(model.vocabulary))
    with data, captions_in_order([held_out], true, config.batch_size) as check:
        return training.fit(learner, phase, run, config, data, check.dataset, **more)


def finetune(
    model: Captioner, dataset: Dataset, epochs: int, config: Config, run: runs.Run,
    more: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Trains the decoder and the last blocks of the backbone together, these at a tenth.

    Args:
        model: Its decoder has been trained.
        dataset: Readable pictures with captions.
        epochs: Passes over the pictures.
        config: The hyperparameters.
        run: Where to write.
        more: More of `training.fit`: `save`, callbacks, `to_beat`.

    Returns:
        The measures of the best epoch.
    """
    count = num_blocks(config.unfreeze, model)
    slow = unfrozen(model, count)
    views, plain = (
        WholeViews(part, model.image_size, flip, config.seed)
        for part, flip in ((dataset.train, flips(config, dataset)), (dataset.validation, False))
    )
    captions, true = (
        numbered(part, model.vocabulary, model.longest)
        for part in (dataset.train, dataset.validation)
    )
    terminal.note(f"Fine-tuning the last {count} blocks of {model.backbone} with the decoder.")
    pictures = min(PICTURES, len(dataset.train))
    data = shuffled_pictures(
        views.draw, model.image_size, captions, pictures, CAPTIONS, config.seed,
        not config.deterministic,
    )  # fmt: skip
    if config.fast_dev_run:
        data.steps, epochs = 1, 1
    learner = _learner(model, True, config, epochs * data.steps)
    rate = config.learning_rate / 3  # The decoder has learnt already.
    phase = _phase("finetune", epochs, rate, config, len(model.vocabulary))
    with data, pictures_in_order(plain.draw, model.image_size, true, pictures) as check:
        return training.fit(learner, phase, run, config, data, check.dataset, slow=slow, **more)


def _learner(model: Captioner, looks: bool, config: Config, steps: int) -> CaptionLearner:
    regular = not config.overfit_batches
    learner = CaptionLearner(
        model, looks, config.label_smoothing * regular, config.coverage * regular,
        config.scheduled_sampling * regular, steps,
    )  # fmt: skip
    learner.build(None)
    return learner


def _phase(name: str, epochs: int, rate: float, config: Config, vocabulary: int) -> training.Phase:
    regular = not config.overfit_batches
    return training.Phase(
        name,
        epochs,
        rate,
        config.weight_decay if regular else 0.0,
        measure="val_cider",
        higher_is_better=True,
        chance=math.log(vocabulary),
        average=config.average if regular else 0.0,
    )


def num_blocks(unfreeze: int | str, model: Captioner) -> int:
    """Returns how many blocks of the backbone `--unfreeze` frees.

    Raises:
        UserError: If it has not so many.
    """
    available = len(backbones.blocks(model.network))
    if unfreeze == "all":
        return available
    if unfreeze == "auto":
        return max(1, round(0.3 * available))
    if int(unfreeze) > available:
        raise UserError(
            f"--unfreeze {unfreeze}: {model.backbone} has {available} blocks. Try 'all'."
        )
    return int(unfreeze)


def unfrozen(model: Captioner, count: int) -> list[keras.Variable]:
    """Lets the last blocks of the backbone learn, and returns their weights.

    All batch norms stay as they are.

    Args:
        model: Whose backbone.
        count: How many blocks, counted from the output; 0 for none.
    """
    for distance, group in enumerate(reversed(backbones.blocks(model.network))):
        for layer in group:
            is_norm = isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = distance < count and not is_norm
    return list(model.network.trainable_variables)


def reward(
    model: Captioner, grids: Sequence[np.ndarray], dataset: Dataset, held_out: np.ndarray,
    config: Config, run: runs.Run, more: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Trains the decoder on for what its own captions are worth, by CIDEr.

    Args:
        model: Its decoder has been trained.
        grids: What its backbone sees, of each view `(pictures, regions, features)`.
        dataset: Readable pictures with captions.
        held_out: `(pictures, regions, features)`, of those to validate on.
        config: The hyperparameters.
        run: Where to write.
        more: More of `training.fit`: `save`, callbacks, `to_beat`.

    Returns:
        The measures of the best epoch.
    """
    known = model.vocabulary
    # With its end as a word: else a caption that breaks off costs nothing ("a dog in a").
    cider = Cider([[[*words(text), known[END]] for text in e.captions] for e in dataset.train])
    chance = keras.random.SeedGenerator(config.seed)
    draw = tf.function(lambda seen: model.drawn(seen, chance, DRAWN)[0], jit_compile=False)

    def worth(ids: np.ndarray, picture: int) -> float:
        return cider.score([known[k] for k in ids], picture)

    data = rewarded_captions(
        grids, lambda seen: ops.convert_to_numpy(draw(seen)), worth, PICTURES, config.seed,
        not config.deterministic,
    )  # fmt: skip
    epochs = config.reward_epochs
    if config.fast_dev_run:
        data.steps, epochs = 1, 1
    unfrozen(model, 0)
    learner = CaptionLearner(model)
    learner.build(None)
    # A tenth, for these gradients are noisy and start from a good place.
    phase = _phase("reward", epochs, config.learning_rate / 10, config, len(known))
    true = numbered(dataset.validation, known, model.longest)
    with data, captions_in_order([held_out], true, config.batch_size) as check:
        return training.fit(learner, phase, run, config, data, check.dataset, **more)
