"""From files to batches: reads pictures with boxes, splits them, and draws views of them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import tensorflow as tf

from dlapps.data.annotations import counted
from dlapps.data.boxed import BoxedExample, read_boxed
from dlapps.data.boxed_views import Views, batch_of
from dlapps.data.digests import hashed, shared
from dlapps.data.feed import Feed
from dlapps.data.held_out import held_out
from dlapps.data.pictures import UnreadablePictureError
from dlapps.data.pipeline import MAX_KEPT_BYTES, in_threads
from dlapps.errors import UserError


@dataclass(frozen=True)
class Dataset:
    """Pictures with boxes, split.

    Args:
        name: What a run on it is called.
        labels: Names of the classes.
        train: Pictures to learn from.
        validation: Pictures to choose by.
        test: Pictures to measure on, where the dataset keeps some apart.
        notes: What the user should know about it.
    """

    name: str
    labels: list[str]
    train: list[BoxedExample]
    validation: list[BoxedExample]
    test: list[BoxedExample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """Changes with any picture, box, label or split, not with paths or order."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            for line in sorted(self._line(example) for example in split):
                digest.update(line.encode() + b"\n")
            digest.update(b"--\n")
        return digest.hexdigest()

    def _line(self, example: BoxedExample) -> str:
        boxes = zip(example.boxes.tolist(), example.labels, example.crowd, strict=True)
        said = sorted(
            f"{self.labels[label]} {[round(corner, 2) for corner in box]} {bool(crowd)}"
            for box, label, crowd in boxes
        )
        return "\t".join([example.digest, *said])


def read_dataset(data: str, validation: float = 0.2, seed: int = 0) -> Dataset:
    """Reads pictures with boxes.

    Args:
        data: What `read_boxed` reads.
        validation: Part to hold out, class by class, where the data have no such part.
        seed: Fixes which.

    Returns:
        The dataset. No picture of `validation` is, byte for byte, one of `train` unless the data
        say so themselves; then a note tells.

    Raises:
        UserError: If there is nothing to learn from or to validate on.
    """
    read = read_boxed(data)
    splits = read.splits
    if "train" not in splits:
        raise UserError(f"{data} has no part 'train' to learn from, only {' and '.join(splits)}.")
    splits = {split: hashed(examples) for split, examples in splits.items()}
    notes = [*read.notes]
    if not splits.get("validation"):
        splits |= _split(splits["train"], validation, seed, data, notes)
    elif both := shared(splits["train"], splits["validation"]):
        notes.append(
            f"{counted(both, 'picture')} of train and of validation are the same, which flatters "
            "the measures."
        )
    known = {label for example in splits["train"] for label in example.labels[~example.crowd]}
    if not known:
        raise UserError(f"{data} has no box in the part 'train' to learn from.")
    if missing := [name for label, name in enumerate(read.labels) if label not in known]:
        first = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        notes.append(f"No box to learn from for {counted(len(missing), 'class')}: {first}.")
    train, held, test = (splits.get(split, []) for split in ("train", "validation", "test"))
    return Dataset(read.name, read.labels, train, held, test, notes)


def read_examples(data: str, labels: Sequence[str]) -> tuple[list[BoxedExample], list[str]]:
    """Reads pictures to measure a model on: the test part if there is one, else all.

    Args:
        data: As in `read_dataset`.
        labels: The model's classes.

    Returns:
        The examples, labelled by index into `labels`, and what the user should know.

    Raises:
        UserError: If a class of some box is not one of `labels`.
    """
    read = read_boxed(data)
    notes = [*read.notes]
    if read.splits.get("test"):
        examples = read.splits["test"]
        if len(read.splits) > 1:
            notes.append("Only the test part is used.")
    else:
        examples = [example for part in read.splits.values() for example in part]
    used = {int(label) for example in examples for label in example.labels}
    unknown = [read.labels[label] for label in sorted(used) if read.labels[label] not in labels]
    if unknown:
        known = ", ".join(labels[:8]) + (", ..." if len(labels) > 8 else "")
        raise UserError(
            f"{data} holds the class '{unknown[0]}', which the model does not know. "
            f"It knows {known}."
        )
    index = np.array([labels.index(k) if k in labels else -1 for k in read.labels], np.int32)
    return hashed([replace(e, labels=index[e.labels]) for e in examples]), notes


def _split(
    examples: list[BoxedExample], part: float, seed: int, data: str, notes: list[str]
) -> dict[str, list[BoxedExample]]:
    """Holds out a part of every class; copies of one picture stay together."""
    groups: dict[str, set[int]] = defaultdict(set)
    for example in examples:
        groups[example.digest].update(example.labels.tolist())
    if len(groups) < 2:
        raise UserError(
            f"{data} holds one picture. Two are needed, one to learn from and one to validate."
        )
    if copies := len(examples) - len(groups):
        notes.append(
            f"{counted(copies, 'picture')} in excess are copies of others; copies stay on one side."
        )
    chosen = held_out(groups, part, seed)
    return {
        "train": [example for example in examples if example.digest not in chosen],
        "validation": [example for example in examples if example.digest in chosen],
    }


def fitting_size(examples: Sequence[BoxedExample]) -> int:
    """Returns the image size that the boxes deserve: 320, or more where things are small.

    Args:
        examples: The pictures.

    Returns:
        A multiple of 32 in [160, 640], no larger than half of the pictures are, such that nine of
        ten boxes are at least 16 pixels wide and high on average.
    """
    longer = np.array([max(example.size) for example in examples])
    sides = [
        np.sqrt((example.boxes[:, 2:] - example.boxes[:, :2]).prod(1)) / max(example.size)
        for example in examples
    ]
    small = float(np.quantile(np.concatenate(sides), 0.1)) if any(map(len, sides)) else 1.0
    wanted = min(max(320, 16 / max(small, 1e-6)), float(np.median(longer)))
    return int(np.clip(-(-wanted // 32) * 32, 160, 640))


def unreadable(views: Views) -> dict[str, str]:
    """Returns why pictures cannot be read, by name; reads each once, and keeps what fits in."""

    def attempt(index: int) -> str | None:
        try:
            views.store.read(index)
        except UnreadablePictureError as error:
            return str(error)
        return None

    whys = in_threads(attempt, iter(range(len(views.examples))), ahead=32)
    return {e.name: why for e, why in zip(views.examples, whys, strict=True) if why is not None}


def shuffled_batches(views: Views, batch_size: int, timed: bool = True) -> Feed:
    """Feeds shuffled batches of views, another order and other views in each epoch.

    Args:
        views: Of readable pictures.
        batch_size: Pictures a batch; the last may be smaller.
        timed: See `Feed`.

    Returns:
        Batches of `(images, (boxes, labels))`; see `batch_of`.
    """

    def epoch(number: int, skip: int) -> Iterator[tuple]:
        turn = number + 1  # Turn 0 is the plain view.
        order = np.random.default_rng([views.seed, turn]).permutation(len(views.examples))
        asked = [(int(k), views.size_of_batch(turn, n // batch_size)) for n, k in enumerate(order)]
        asked = asked[skip * batch_size :]
        drawn = in_threads(
            lambda one: views.draw(one[0], turn, one[1]), iter(asked), ahead=2 * batch_size
        )
        for start in range(0, len(asked), batch_size):
            yield batch_of([next(drawn) for _ in asked[start : start + batch_size]])

    side = views.sizes[0] if len(views.sizes) == 1 else None
    return Feed(epoch, _signature(side), _steps(views, batch_size), timed)


def plain_batches(views: Views, batch_size: int) -> Feed:
    """Feeds the plain views in order, kept in memory after the first epoch if they are few."""
    kept: list[tuple] = []
    small = len(views.examples) * views.image_size**2 * 3 < MAX_KEPT_BYTES

    def epoch(_number: int, _skip: int) -> Iterator[tuple]:
        if kept:
            yield from kept
            return
        indices = range(len(views.examples))
        drawn = in_threads(views.draw, iter(indices), ahead=2 * batch_size)
        batches = []
        for start in indices[::batch_size]:
            batch = batch_of([next(drawn) for _ in indices[start : start + batch_size]])
            if small:
                batches.append(batch)
            yield batch
        kept.extend(batches)

    return Feed(epoch, _signature(views.image_size), _steps(views, batch_size), timed=False)


def _signature(side: int | None) -> tuple:
    """Returns the shapes of a batch; with unknown ones Keras traces the model once for all."""
    images = tf.TensorSpec((None, side, side, 3), tf.uint8)
    boxes = tf.TensorSpec((None, None, 4), tf.float32)
    return images, (boxes, tf.TensorSpec((None, None), tf.int32))


def _steps(views: Views, batch_size: int) -> int:
    return -(-len(views.examples) // batch_size)
