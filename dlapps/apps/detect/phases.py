"""The phases of the detector's training: neck and heads on a frozen backbone, then all of it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from dlapps import backbones, files, runs, terminal, training
from dlapps.apps.detect.config import Config
from dlapps.apps.detect.data import Dataset, plain_batches, shuffled_batches
from dlapps.apps.detect.model import STRIDES, YOLODetector
from dlapps.data.box_augment import BOX_AUGMENTATIONS
from dlapps.data.boxed_views import Views
from dlapps.data.feed import Feed
from dlapps.drawing import Mark, boxed, colour_of, contact_sheet
from dlapps.errors import UserError

# Pictures on which the activations are watched, and those measured at once.
WATCHED = 4
MEASURED = 16
# Part of the last epochs whose views show one picture, as those to come will. On 205 pictures of
# blood cells, held-out mAP50 had stood still at 0.880 and rose to 0.906 from there on.
WITHOUT_MOSAIC = 0.4
# Of --image-size, the smallest and the largest side that --multi-scale draws.
SCALES = (0.75, 1.25)
MEASURE: dict[str, Any] = {"measure": "val_map50_95", "higher_is_better": True}


def learn(
    model: YOLODetector, views: Views, plain: Views, mode: str, config: Config, run: runs.Run,
    save: Callable[[], None],
) -> dict[str, Any]:  # fmt: skip
    """Trains the detector.

    Args:
        model: With a pretrained backbone, or trained before.
        views: Of the pictures to learn from.
        plain: Of those to validate on.
        mode: "train" for neck and heads alone; "finetune" to adapt the backbone then.
        config: The hyperparameters.
        run: Where to write.
        save: Called whenever an epoch is the best so far.

    Returns:
        The measures of the best epoch.
    """
    best = run.phases.get("head", {})
    last = mode == "train"
    if not run.is_past("head"):
        model.unfreeze(0)
        epochs = int(config.epochs) if last else config.head_epochs
        phase = _phase("head", epochs, config.learning_rate, last, config)
        best = _fit(model, views, plain, phase, config, run, save, last)
    if not last:
        num_blocks = number_of_blocks(config.unfreeze, model)
        model.unfreeze(num_blocks)
        terminal.note(f"Fine-tuning the last {num_blocks} blocks of {config.backbone}, too.")
        phase = _phase("finetune", int(config.epochs), config.learning_rate, True, config)
        best = _fit(model, views, plain, phase, config, run, save, True, best)
    return best


def _phase(name: str, epochs: int, rate: float, last: bool, config: Config) -> training.Phase:
    regular = not config.overfit_batches
    return training.Phase(
        name,
        1 if config.fast_dev_run else epochs,
        rate,
        config.weight_decay if regular else 0.0,
        **MEASURE,
        # A short phase is soon followed by another; an average would not have caught up.
        average=config.average if regular and last else 0.0,
    )


def _fit(
    model: YOLODetector, views: Views, plain: Views, phase: training.Phase, config: Config,
    run: runs.Run, save: Callable[[], None], last: bool, best: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    without = round(WITHOUT_MOSAIC * phase.epochs) if last else 0
    views.last_mosaic = phase.epochs - without
    draw_first_batch(views, model.labels, config, run)
    with _feeds(views, plain, config) as (data, held_out):
        few = np.stack([views.draw(k)[0] for k in range(min(WATCHED, len(views.examples)))])
        return training.fit(
            model, phase, run, config, data, held_out.dataset, look_at=few, save=save,
            to_beat=best, trackers=[*model.measures.values()],
            slow=model.network.trainable_variables,
        )  # fmt: skip


def views_of(dataset: Dataset, image_size: int, config: Config, flip: bool) -> tuple[Views, Views]:
    """Returns the views to learn from and those to validate on.

    Args:
        dataset: The pictures.
        image_size: Longer side of what the network sees, pixels.
        config: The hyperparameters.
        flip: Whether left and right may change places.
    """
    augmentation = None if config.overfit_batches else BOX_AUGMENTATIONS[config.augment]
    sides = [image_size]
    if config.multi_scale and augmentation:
        least, most = (round(image_size * scale / backbones.STRIDE) for scale in SCALES)
        sides = [backbones.STRIDE * count for count in range(max(least, 2), most + 1)]
    views = Views(dataset.train, image_size, augmentation, config.seed, sides, flip)
    return views, Views(dataset.validation, image_size)


@contextlib.contextmanager
def _feeds(views: Views, plain: Views, config: Config) -> Iterator[tuple[Feed, Feed]]:
    with (
        shuffled_batches(views, config.batch_size, not config.deterministic) as data,
        plain_batches(plain, MEASURED) as held_out,
    ):
        yield data, held_out


def number_of_blocks(unfreeze: int | str, model: YOLODetector) -> int:
    """Returns how many blocks of the backbone `--unfreeze` frees.

    Raises:
        UserError: If it has not so many.
    """
    available = len(backbones.blocks(model.network))
    if unfreeze == "all":
        return available
    if unfreeze == "auto":
        levels = backbones.pyramid(model.network)
        return available - sum(len(ends) for s, ends in levels.items() if s < STRIDES[0])
    if int(unfreeze) > available:
        raise UserError(
            f"--unfreeze {unfreeze}: {model.backbone} has {available} blocks. Try 'all'."
        )
    return int(unfreeze)


def draw_first_batch(views: Views, labels: list[str], config: Config, run: runs.Run) -> None:
    """Shows some of the first views as the network sees them, with their boxes."""
    count = min(12, len(views.examples))
    chosen = np.random.default_rng(config.seed).permutation(len(views.examples))[:count]
    pictures = []
    for image, boxes, kinds in (views.draw(int(k), 1) for k in chosen):
        marks = [
            Mark(box, labels[kind], colour_of(int(kind)))
            for box, kind in zip(boxes, kinds, strict=True)
        ]
        pictures.append(np.asarray(boxed(Image.fromarray(image), marks)))
    sheet = contact_sheet(pictures, [""] * count, side=320)
    files.write(run.folder / "train_batch.png", sheet)
