"""From files to batches: reads pictures with captions, splits them, and looks at them once."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata

import keras
import numpy as np
import PIL

from dlapps import inference, terminal
from dlapps.apps.caption.config import Config
from dlapps.apps.caption.model import Captioner
from dlapps.data.captioned import Described, Leftovers, read_captioned
from dlapps.data.digests import hashed, shared
from dlapps.data.features import cache_folder, fingerprint
from dlapps.data.pictures import Source, size_of
from dlapps.data.region_grids import MAX_BYTES, Grids, bytes_needed, grids_once
from dlapps.data.whole_views import WholeViews
from dlapps.data.words import words
from dlapps.errors import UserError

VIEWS = 4
# Held-out pictures that a step of everything looks at.
FEW = 50
# Part of the captions that may speak of sides before mirrored views would teach nonsense.
SIDED = 0.02


@dataclass(frozen=True)
class Dataset:
    """Pictures with captions, split.

    Args:
        name: What a run on it is called.
        train: Pictures to learn from.
        validation: Pictures to choose by.
        test: Pictures to measure on, where the dataset keeps some apart.
        notes: What the user should know about it.
    """

    name: str
    train: list[Described]
    validation: list[Described]
    test: list[Described] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """Changes with any picture, caption or split, not with paths or order."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            for line in sorted("\t".join((each.digest, *each.captions)) for each in split):
                digest.update(line.encode() + b"\n")
            digest.update(b"--\n")
        return digest.hexdigest()


def read_dataset(
    data: str, validation: float = 0.2, seed: int = 0, strict: bool = False
) -> Dataset:
    """Reads pictures with captions.

    Args:
        data: What `read_captioned` reads.
        validation: Part of the pictures to hold out where the data have no such part.
        seed: Fixes which.
        strict: Stop at what cannot be used, instead of counting and naming it.

    Raises:
        UserError: If there are not two pictures with captions.
    """
    name, splits, notes = _read(data, strict)
    train = splits.get("train", [])
    if not train:
        raise UserError(f"{data} has no part 'train' to learn from, only {' and '.join(splits)}.")
    held_out = splits.get("validation", [])
    if not held_out:
        digests = sorted({each.digest for each in train})
        if len(digests) < 2:
            raise UserError(
                f"{data} has {len(digests)} picture with captions. Two are needed, one to learn "
                "from and one to validate."
            )
        count = min(max(1, round(validation * len(digests))), len(digests) - 1)
        order = np.random.default_rng(seed).permutation(len(digests))
        chosen = {digests[k] for k in order[:count]}
        held_out = [each for each in train if each.digest in chosen]
        train = [each for each in train if each.digest not in chosen]
    elif both := shared(train, held_out):
        notes.append(
            f"{both} pictures stand both in train and in validation, which flatters the measures."
        )
    return Dataset(name, train, held_out, splits.get("test", []), notes)


def read_examples(data: str, strict: bool = False) -> tuple[list[Described], list[str]]:
    """Reads pictures to measure a model on: the test part if there is one, else all.

    Args:
        data: What `read_captioned` reads.
        strict: Stop at what cannot be used.

    Returns:
        The pictures, and what the user should know.
    """
    _, splits, notes = _read(data, strict)
    if splits.get("test") and len(splits) > 1:
        return splits["test"], [*notes, "Only the test part is used."]
    return [each for part in splits.values() for each in part], notes


def _read(data: str, strict: bool) -> tuple[str, dict[str, list[Described]], list[str]]:
    name, splits, leftovers = read_captioned(data)
    spoken = {}
    for split, pictures in splits.items():
        parted = [_with_words(each, leftovers) for each in pictures]
        spoken[split] = [each for each in parted if each.captions]
    notes = leftovers.notes()
    if strict and notes:
        raise UserError(f"{data}: {notes[0]} Without --strict it would be left out.")
    splits = {split: hashed(pictures) for split, pictures in spoken.items() if pictures}
    if not splits:
        raise UserError(f"{data} holds no caption with a word in it.")
    return name, splits, notes


def _with_words(each: Described, leftovers: Leftovers) -> Described:
    kept = tuple(caption for caption in each.captions if words(caption))
    leftovers.empty += [each.name] * (len(each.captions) - len(kept))
    return dataclasses.replace(each, captions=kept)


def fitting_size(sources: Sequence[Source], looked_at: int = 64) -> int:
    """Returns the image size that pictures deserve: 224, or less if they are smaller."""
    step = max(1, len(sources) // looked_at)
    sides = [side for source in sources[::step] if (side := min(size_of(source)))] or [224]
    return int(np.clip(-(-np.median(sides) // 32) * 32, 64, 224))


def may_flip(pictures: Sequence[Described]) -> bool:
    """Returns whether captions stay true when the picture is mirrored: few name a side."""
    captions = [words(caption) for each in pictures for caption in each.captions]
    sided = sum("left" in caption or "right" in caption for caption in captions)
    return sided < SIDED * len(captions)


def trimmed(dataset: Dataset, config: Config) -> Dataset:
    """Returns so much of a dataset as is to be learnt: all, or little to see whether it works."""
    few = config.batch_size * max(config.overfit_batches, 1)
    if config.fast_dev_run:
        train, held_out = dataset.train[: config.batch_size], dataset.validation[:FEW]
        return dataclasses.replace(dataset, train=train, validation=held_out)
    if config.overfit_batches:
        captions, chosen = 0, []
        for k in np.random.default_rng(config.seed).permutation(len(dataset.train)):
            if captions < few:
                chosen.append(dataset.train[k])
                captions += len(dataset.train[k].captions)
        note = f"Learning {captions} captions by heart; validation is the same pictures."
        return dataclasses.replace(
            dataset, train=chosen, validation=chosen, notes=[*dataset.notes, note]
        )
    return dataset


def readable(dataset: Dataset, unreadable: Sequence[dict[int, str]], strict: bool) -> Dataset:
    """Drops, counts and names the pictures that could not be read.

    Args:
        dataset: The pictures.
        unreadable: Why, by their place among those to learn from, and those to validate on.
        strict: Stop at the first.
    """
    why: dict[str, str] = {}
    parts = []
    for part, bad in zip((dataset.train, dataset.validation), unreadable, strict=True):
        why |= {part[k].name: text for k, text in bad.items()}
        parts.append([each for k, each in enumerate(part) if k not in bad])
    if why and strict:
        name, text = next(iter(why.items()))
        raise UserError(f"{name} cannot be read: {text}.")
    terminal.skipped(why)
    if not all(parts):
        raise UserError("No picture of the dataset can be read.")
    return dataclasses.replace(dataset, train=parts[0], validation=parts[1])


# Compiles the frozen backbone the first time it is called: what is cached needs no compiling.
Eye = Callable[[], Callable[[np.ndarray], list[np.ndarray]]]


def eye_of(model: Captioner) -> Eye:
    """Returns what returns the frozen backbone, from pictures to grids."""
    return functools.cache(lambda: inference.frozen_network(model.regions, model.image_size))


def looked_at(
    model: Captioner, eye: Eye, pictures: Sequence[Described], flip: bool, seed: int, turn: int = 0
) -> Grids:
    """Returns what the frozen backbone sees in one view of each picture.

    Args:
        model: Whose backbone it is.
        eye: It, compiled when needed.
        pictures: What to look at.
        flip: Whether every other view is mirrored.
        seed: Where the chance of the views comes from.
        turn: Which view; 0 is the whole picture.
    """
    views = WholeViews(pictures, model.image_size, flip, seed)
    shape = model.compute_regions_shape()
    digests = [each.digest for each in pictures]
    versions = [metadata.version("dlapps"), keras.version(), PIL.__version__]
    key = fingerprint(
        [_digest(model.network), model.image_size, keras.config.dtype_policy().name, *versions]
        + ([turn, flip, seed] if turn else [])
        + digests
    )
    title = "Looking at the pictures" if turn == 0 else f"Looking again ({turn + 1})"
    draw = functools.partial(views.draw, turn=turn)
    return grids_once(key, eye, draw, len(pictures), shape, title, cache_folder() / "grids")


def _digest(network: keras.Model) -> str:
    """Returns what tells the weights of a backbone from all others."""
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def views_of(model: Captioner, eye: Eye, dataset: Dataset, config: Config) -> list[np.ndarray]:
    """Returns what the frozen backbone sees in every view of the pictures to learn from."""
    flip = flips(config, dataset)
    return [
        looked_at(model, eye, dataset.train, flip, config.seed, turn).rows
        for turn in range(num_views(config, model, len(dataset.train)))
    ]


def num_views(config: Config, model: Captioner, count: int) -> int:
    """Returns how many views of each picture the decoder learns from."""
    if config.fast_dev_run or config.overfit_batches:
        return 1
    if config.views != "auto":
        return int(config.views)
    fitting = MAX_BYTES // 2 // bytes_needed(count, model.compute_regions_shape())
    return int(np.clip(fitting, 1, VIEWS))


def flips(config: Config, dataset: Dataset) -> bool:
    """Returns whether views are mirrored."""
    return may_flip(dataset.train) if config.flip == "auto" else config.flip == "yes"
