"""From files to batches: reads pictures with captions, splits them, and draws views of them."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dlapps.data.caption_batches import END, Captions
from dlapps.data.captioned import Described, Leftovers, read_captioned
from dlapps.data.digests import hashed, shared
from dlapps.data.pictures import Source, resized, size_of
from dlapps.data.pipeline import PictureStore
from dlapps.data.words import words
from dlapps.errors import UserError

# In the places of END, START and UNKNOWN.
SPECIAL = ("<end>", "<start>", "<unknown>")
UNKNOWN = 2
# Part of the captions that may speak of sides before mirrored views would teach nonsense.
SIDED = 0.02
# Area of a random view, of that of the picture.
AREAS = (0.72, 1.0)


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


def vocabulary(pictures: Sequence[Described], min_count: int) -> list[str]:
    """Returns the words to learn, the most frequent first, behind the three special ones.

    Args:
        pictures: Whose captions to count in.
        min_count: Captions that a word must stand in.

    Raises:
        UserError: If none does.
    """
    counts: Counter = Counter()
    for each in pictures:
        for caption in each.captions:
            counts.update(dict.fromkeys(words(caption), 1))
    if not counts or max(counts.values()) < min_count:
        most, times = max(counts.items(), key=lambda each: each[1])
        raise UserError(
            f"No word stands in {min_count} captions, so the vocabulary would be empty at "
            f"--min-count {min_count}. The most frequent, '{most}', stands in {times}."
        )
    known = [word for word, count in counts.items() if count >= min_count]
    return [*SPECIAL, *sorted(known, key=lambda word: (-counts[word], word))]


def encoded(caption: str, index: dict[str, int], longest: int) -> list[int]:
    """Returns a caption as ids, cut off behind `longest` words, without start and end."""
    return [index.get(word, UNKNOWN) for word in words(caption)][:longest]


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


class Views:
    """Draws pictures whole, or parts of them by chance, the same for the same seed.

    A caption speaks of the whole picture, so that all of it is squeezed into the square that the
    network sees, and of a random view little is cut off.

    Args:
        pictures: What to draw.
        image_size: Side of a view, pixels.
        flip: Whether every other view is mirrored.
        seed: Where the chance comes from.
    """

    def __init__(
        self, pictures: Sequence[Described], image_size: int, flip: bool = False, seed: int = 0
    ):
        self.pictures = pictures
        self.image_size = image_size
        self.flip = flip
        self.seed = seed
        self.store = PictureStore([each.source for each in pictures], image_size)

    def draw(self, index: int, turn: int = 0) -> np.ndarray:
        """Returns a view of one picture, `(size, size, 3)` uint8; the whole one in turn 0."""
        image = self.store.read(index)
        part, left, top = 1.0, 0.0, 0.0
        if turn:
            picture = int(self.pictures[index].digest[:16], 16)
            rng = np.random.default_rng([self.seed, turn, picture])
            part = rng.uniform(*AREAS) ** 0.5
            left, top = rng.random(2) * (1 - part)
        width, height = image.size
        box = (left * width, top * height, (left + part) * width, (top + part) * height)
        view = resized(image, self.image_size, box)
        return np.ascontiguousarray(view[:, ::-1]) if self.flip and turn % 2 else view


def numbered(pictures: Sequence[Described], known: Sequence[str], longest: int) -> Captions:
    """Returns the captions of pictures as ids.

    Args:
        pictures: The places in this are those of the result.
        known: The vocabulary.
        longest: Words of a caption at most.
    """
    index = {word: place for place, word in enumerate(known)}
    rows = [
        (place, encoded(caption, index, longest))
        for place, each in enumerate(pictures)
        for caption in each.captions
    ]
    ids = np.full((len(rows), longest + 1), END, np.int32)
    for row, (_, caption) in enumerate(rows):
        ids[row, : len(caption)] = caption
    lengths = np.array([len(caption) for _, caption in rows])
    return Captions(np.array([place for place, _ in rows]), ids, lengths)
