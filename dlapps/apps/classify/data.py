"""From files to batches: reads labelled pictures, splits them, and draws views of them."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dlapps.data.augment import Augmentation, random_view
from dlapps.data.digests import hashed, shared
from dlapps.data.feed import Feed, labelled_images
from dlapps.data.labelled import Example, read_labelled
from dlapps.data.pictures import centre_crop, size_of
from dlapps.data.pipeline import MAX_KEPT_BYTES, PictureStore, batches_of_views, in_threads
from dlapps.errors import UserError


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures, split.

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
    train: list[Example]
    validation: list[Example]
    test: list[Example] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """Changes with any picture, label or split, not with paths or order."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            for line in sorted(f"{self.labels[e.label]}\t{e.digest}" for e in split):
                digest.update(line.encode() + b"\n")
            digest.update(b"--\n")
        return digest.hexdigest()


def read_dataset(data: str, validation: float = 0.2, seed: int = 0) -> Dataset:
    """Reads labelled pictures.

    Args:
        data: A folder with one folder a class, or with train, val and test folders of such; a CSV
            file of path, label and perhaps split; `tfds:NAME`; or `sample`.
        validation: Part to hold out, class by class, where the data have no such part.
        seed: Fixes which.

    Returns:
        The dataset. No picture of `validation` is, byte for byte, one of `train` unless the data
        say so themselves; then a note tells.

    Raises:
        UserError: If it is none of these, or has not two classes of two pictures.
    """
    name, labels, splits = read_labelled(data)
    if "train" not in splits:
        raise UserError(f"{data} has no part 'train' to learn from, only {' and '.join(splits)}.")
    if len(labels) < 2:
        raise UserError(
            f"{data} holds one class, '{labels[0]}'. Give at least two, each in its own folder."
        )
    splits = {split: hashed(examples) for split, examples in splits.items()}
    notes: list[str] = []
    if not splits.get("validation"):
        train, held_out, notes = _split(splits["train"], labels, validation, seed, data)
        splits |= {"train": train, "validation": held_out}
    elif both := shared(splits["train"], splits["validation"]):
        notes.append(
            f"{both} pictures stand both in train and in validation, which flatters the measures."
        )
    missing = [labels[k] for k in range(len(labels)) if k not in _counts(splits["train"])]
    if missing:
        raise UserError(f"{data} has no picture of '{missing[0]}' to learn from.")
    return Dataset(
        name, labels, splits["train"], splits["validation"], splits.get("test", []), notes
    )


def read_examples(data: str, labels: Sequence[str]) -> tuple[list[Example], list[str]]:
    """Reads pictures to measure a model on: the test part if there is one, else all.

    Args:
        data: As in `read_dataset`.
        labels: The model's classes.

    Returns:
        The examples, labelled by index into `labels`, and what the user should know.

    Raises:
        UserError: If a class is not one of `labels`.
    """
    _, own, splits = read_labelled(data)
    notes = []
    if splits.get("test"):
        examples = splits["test"]
        if len(splits) > 1:
            notes.append("Only the test part is used.")
    else:
        examples = [example for part in splits.values() for example in part]
    unknown = [label for label in own if label not in labels]
    if unknown:
        known = ", ".join(labels[:8]) + (", ..." if len(labels) > 8 else "")
        raise UserError(
            f"{data} holds the class '{unknown[0]}', which the model does not know. "
            f"It knows {known}."
        )
    index = {label: labels.index(label) for label in own}
    return hashed([replace(e, label=index[own[e.label]]) for e in examples]), notes


def _split(
    examples: list[Example], labels: list[str], part: float, seed: int, data: str
) -> tuple[list[Example], list[Example], list[str]]:
    """Holds out a part of every class; copies of one picture stay together."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.digest].append(example)
    held_out: set[str] = set()
    notes = _duplicates(groups, labels)
    rng = np.random.default_rng(seed)
    for label, name in enumerate(labels):
        # By digest, so that neither names nor order of files change the split.
        own = sorted(digest for digest, group in groups.items() if group[0].label == label)
        if len(own) < 2:
            raise UserError(
                f"{data}: class '{name}' has {len(own)} picture{'s' * (len(own) != 1)} of its "
                "own. Two are needed, one to learn from and one to validate."
            )
        count = min(max(1, round(part * len(own))), len(own) - 1)
        held_out.update(own[k] for k in rng.permutation(len(own))[:count])
    train = [e for e in examples if e.digest not in held_out]
    return train, [e for e in examples if e.digest in held_out], notes


def _duplicates(groups: dict[str, list[Example]], labels: list[str]) -> list[str]:
    copies = sum(len(group) - 1 for group in groups.values())
    notes = [f"{copies} pictures are copies of others; copies stay on one side."] if copies else []
    torn = [group for group in groups.values() if len({e.label for e in group}) > 1]
    if torn:
        first = torn[0]
        other = next(e for e in first if e.label != first[0].label)
        notes.append(
            f"{len(torn)} pictures have more than one label, such as {first[0].name} "
            f"('{labels[first[0].label]}') and {other.name} ('{labels[other.label]}')."
        )
    return notes


def _counts(examples: list[Example]) -> Counter:
    return Counter(example.label for example in examples)


def fitting_size(examples: Sequence[Example], looked_at: int = 64) -> int:
    """Returns the image size that the pictures deserve: 224, or less if they are smaller.

    Args:
        examples: The pictures.
        looked_at: How many of them to look at, spread evenly.

    Returns:
        A multiple of 32 in [64, 224], at least the median of the shorter sides where it can be.
    """
    step = max(1, len(examples) // looked_at)
    sides = [min(size_of(example.source)) for example in examples[::step]]
    known = [side for side in sides if side] or [224]
    return int(np.clip(-(-np.median(known) // 32) * 32, 64, 224))


class Views:
    """Draws the pictures of examples, plain or by chance, the same for the same seed.

    Args:
        examples: The pictures.
        image_size: Side of a view, pixels.
        crop: Part of the shorter side that a plain view keeps, in (0, 1].
        augmentation: How far random views may differ, or None for plain ones.
        seed: Where their chance comes from.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        image_size: int,
        crop: float,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ):
        self.examples = examples
        self.image_size = image_size
        self.crop = crop
        self.augmentation = augmentation
        self.seed = seed
        zoom = augmentation.short_sides[1] if augmentation else 1 / crop
        sources = [example.source for example in examples]
        self.store = PictureStore(sources, round(image_size * zoom))

    def draw(self, index: int, turn: int = 0) -> np.ndarray:
        """Returns a view of one picture, `(size, size, 3)` uint8; another in every `turn`."""
        image = self.store.read(index)
        if self.augmentation is None:
            return centre_crop(image, self.image_size, self.crop)
        # By content, not by place: the same picture gives the same views in any split.
        picture = int(self.examples[index].digest[:16], 16)
        rng = np.random.default_rng([self.seed, turn, picture])
        return random_view(image, self.image_size, self.augmentation, rng)


def shuffled_batches(views: Views, batch_size: int, timed: bool = True) -> Feed:
    """Feeds shuffled batches of views, another order and other views in each epoch.

    Args:
        views: Of readable pictures.
        batch_size: Pictures a batch; the last may be smaller.
        timed: See `Feed`.
    """

    def epoch(number: int, skip: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        turn = number + 1  # Turn 0 is the plain view.
        order = np.random.default_rng([views.seed, turn]).permutation(len(views.examples))
        order = order[skip * batch_size :]
        drawn = in_threads(lambda k: views.draw(int(k), turn), iter(order), ahead=2 * batch_size)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            yield np.stack([next(drawn) for _ in chosen]), _labels(views, chosen)

    return Feed(epoch, labelled_images(views.image_size), _steps(views, batch_size), timed)


def plain_batches(views: Views, batch_size: int) -> Feed:
    """Feeds the views in order, kept in memory after the first epoch if they are few."""
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    small = len(views.examples) * views.image_size**2 * 3 < MAX_KEPT_BYTES

    def epoch(_number: int, _skip: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if kept:
            yield from kept
            return
        for chosen, images, _ in batches_of_views(len(views.examples), views.draw, batch_size):
            batch = images, _labels(views, chosen)
            if small:
                kept.append(batch)
            yield batch

    return Feed(epoch, labelled_images(views.image_size), _steps(views, batch_size), timed=False)


def _labels(views: Views, chosen: Iterable[int]) -> np.ndarray:
    return np.array([views.examples[k].label for k in chosen], np.int32)


def _steps(views: Views, batch_size: int) -> int:
    return -(-len(views.examples) // batch_size)
