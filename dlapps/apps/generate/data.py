"""From files to batches: reads a text as ids of characters, and cuts windows out of it."""

import glob
import hashlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from dlapps.data import samples, tfds
from dlapps.data.features import cache_folder
from dlapps.data.feed import Feed
from dlapps.data.texts import Text, texts
from dlapps.errors import UserError

# Longer texts are kept on disk, as a memory map.
IN_MEMORY = 100_000_000  # characters
# Held-out text is read in windows whose first characters only set the scene: they are not counted.
CONTEXT = 256
COUNTED = 1024
HELD_OUT_ROWS = 16
IGNORED = -1


@dataclass(frozen=True)
class Corpus:
    """A text as ids of its characters, split.

    Args:
        name: What a run on it is called.
        characters: The vocabulary, each character once; ids are places in it.
        train: `(characters,)` ids to learn from.
        validation: The same, to choose by.
        fingerprint: Changes with the text and the split.
        notes: What the user should know about it.
    """

    name: str
    characters: str
    train: np.ndarray
    validation: np.ndarray
    fingerprint: str
    notes: list[str] = field(default_factory=list)


def read_corpus(
    words: Sequence[str], part: float = 0.1, held_out: str | None = None,
    encoding: str = "auto", normalization: str = "none", known: str = "",
) -> Corpus:  # fmt: skip
    """Reads texts to learn from.

    Args:
        words: Files, folders, globs, `-`, `tfds:NAME` or `sample`; they are read one after the
            other as one text.
        part: Part of it to hold out, at its end.
        held_out: A second text to hold out instead.
        encoding: Of the files, or "auto".
        normalization: A Unicode normal form, or "none".
        known: Characters of a model that learns on; new ones come behind them.

    Raises:
        UserError: If a text cannot be read, or there is nothing in it.
    """
    name, train, validation = _parts(words, held_out, encoding, normalization)
    seen, count, digest = _looked_through([*train, *validation])
    if not count:
        raise UserError(f"{' '.join(words)} is empty. Give a text to learn from.")
    new = "".join(sorted(seen - set(known)))
    characters = known + new
    ids = _ids(train, characters)
    notes = []
    if known and new:
        notes.append(f"New to the model, which learns them here: {shown(new)}.")
    if validation:
        kept = _ids(validation, characters)
        if len(kept) < 2:
            raise UserError(
                f"{validation[0].name}, to be held out, has {len(kept)} characters; 2 are needed."
            )
    else:
        cut = len(ids) - max(1, round(part * len(ids)))
        ids, kept = ids[:cut], ids[cut:]
    split = f"{len(ids)} {len(kept)}".encode()
    fingerprint = hashlib.sha256(digest + split).hexdigest()
    return Corpus(name, characters, ids, kept, fingerprint, notes)


def _parts(
    words: Sequence[str], held_out: str | None, encoding: str, normalization: str
) -> tuple[str, list[Text], list[Text]]:
    """Returns what a run is called, and the texts to learn from and to hold out."""
    second = texts([held_out], encoding, normalization) if held_out else []
    if [*words] == ["sample"]:
        topics = samples.documentation()
        return "sample", [Text("sample", topics, normalization=normalization)], second
    if len(words) == 1 and words[0].startswith("tfds:"):
        name, splits = tfds.texts(words[0].removeprefix("tfds:"))
        named = {split: Text(split, text, normalization=normalization)
                 for split, text in splits.items()}  # fmt: skip
        first = named.get("train") or next(iter(named.values()))
        rest = named.get("validation") or named.get("test")
        return name, [first], second or ([rest] if rest and rest is not first else [])
    found = texts(words, encoding, normalization)
    path = Path(words[0])
    if glob.has_magic(words[0]):
        path = path.parent
    plain = words[0] != "-" and not glob.has_magic(str(path))
    return (path.stem if plain else "") or "text", found, second


def _looked_through(parts: Sequence[Text]) -> tuple[set[str], int, bytes]:
    """Returns the characters of texts, how many there are, and a digest of all."""
    seen = np.zeros(0x110000, bool)
    count, digest = 0, hashlib.sha256()
    for text in parts:
        for piece in text.pieces():
            codes = _codes(piece)
            seen[codes] = True
            count += len(codes)
            digest.update(codes.tobytes())
        digest.update(b"--")
    return {chr(code) for code in np.flatnonzero(seen)}, count, digest.digest()


def _ids(parts: Sequence[Text], characters: str) -> np.ndarray:
    place = np.zeros(0x110000, np.uint32)
    place[_codes(characters)] = np.arange(len(characters))
    sizes = (np.uint8, np.uint16, np.uint32)
    kind = next(size for size in sizes if len(characters) <= np.iinfo(size).max + 1)
    pieces = (place[_codes(piece)].astype(kind) for text in parts for piece in text.pieces())
    kept = [np.empty(0, kind)]
    for piece in pieces:
        kept.append(piece)
        if sum(map(len, kept)) > IN_MEMORY:
            return _on_disk(itertools.chain(kept, pieces), kind)
    return np.concatenate(kept)


def _on_disk(pieces: Iterable[np.ndarray], kind: type) -> np.ndarray:
    """Writes ids to a file without a name, which is gone with the process, and maps it."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        for piece in pieces:
            file.write(piece.tobytes())
        file.flush()
        return np.memmap(file, kind, "r")


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def read_text(data: str, encoding: str = "auto", normalization: str = "none") -> str:
    """Reads a text to go on from or to measure on.

    Args:
        data: What `read_corpus` reads, in one word.
        encoding: Of the files, or "auto".
        normalization: A Unicode normal form, or "none".

    Raises:
        UserError: If it cannot be read, or is empty.
    """
    _, first, second = _parts([data], None, encoding, normalization)
    text = "".join(piece for part in [*first, *second] for piece in part.pieces())
    if not text:
        raise UserError(f"{data} is empty. Name a text.")
    return text


def encoded(text: str, characters: str) -> tuple[np.ndarray, str]:
    """Returns the ids of a text, those that are unknown left out, and the unknown ones, sorted."""
    place = {character: k for k, character in enumerate(characters)}
    ids = [place[character] for character in text if character in place]
    return np.array(ids, np.int32), "".join(sorted(set(text) - set(characters)))


def shown(characters: str, most: int = 20) -> str:
    """Returns characters as a person can read them, such as `'é' '\\t'`."""
    few = " ".join(repr(character) for character in characters[:most])
    return few + (f" and {len(characters) - most} more" if len(characters) > most else "")


def random_windows(ids: np.ndarray, window: int, batch_size: int, seed: int, timed: bool) -> Feed:
    """Feeds windows from all over a text, cut at other places in each epoch.

    Args:
        ids: `(characters,)`.
        window: Characters a window.
        batch_size: Windows a batch; fewer if the text has not so many.
        seed: Where the order and the places come from.
        timed: See `Feed`.
    """
    whole = (len(ids) - 1) // window
    whole -= whole > 1  # One window's length to move the cuts by.
    batch_size = min(batch_size, whole)
    steps = whole // batch_size
    reach = np.arange(window + 1)

    def epoch(number: int, skip: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng([seed, number])
        phase = rng.integers(len(ids) - whole * window)
        order = rng.permutation(whole)
        for step in range(skip, steps):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            rows = ids[phase + chosen[:, None] * window + reach].astype(np.int32)
            yield rows[:, :-1], rows[:, 1:]

    spec = tf.TensorSpec((batch_size, window), tf.int32)
    return Feed(epoch, (spec, spec), steps, timed)


def streams(ids: np.ndarray, window: int, batch_size: int, timed: bool) -> Feed:
    """Feeds windows that go on where those of the batch before ended.

    The text is cut into as many streams as a batch has rows.

    Args:
        ids: `(characters,)`.
        window: Characters a window.
        batch_size: Rows a batch; fewer if the text has not so many windows.
        timed: See `Feed`.

    Returns:
        Batches of the ids, with whether each row begins anew, and the ids that come next.
    """
    batch_size = min(batch_size, (len(ids) - 1) // window)
    length = (len(ids) - 1) // batch_size
    steps = length // window
    places = np.arange(batch_size)[:, None] * length + np.arange(window + 1)

    def epoch(_number: int, skip: int) -> Iterator[tuple]:
        for step in range(skip, steps):
            rows = ids[places + step * window].astype(np.int32)
            yield (rows[:, :-1], np.full(batch_size, step == 0)), rows[:, 1:]

    spec = tf.TensorSpec((batch_size, window), tf.int32)
    return Feed(epoch, ((spec, tf.TensorSpec((batch_size,), tf.bool)), spec), steps, timed)


def held_out_batches(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cuts all of a text into windows of one length, each after some that is not counted.

    Args:
        ids: `(characters,)`, of which the first only sets the scene.

    Returns:
        inputs: `(batches, rows, time)` int32 ids.
        targets: The ids that come next, `IGNORED` where not counted.
    """
    count = len(ids) - 1
    batches = -(-count // (HELD_OUT_ROWS * COUNTED))
    rows = batches * HELD_OUT_ROWS
    # Of equal length but for a character, for Keras weighs all batches alike.
    cuts = np.arange(rows + 1) * count // rows
    starts, ends = (each.reshape(batches, HELD_OUT_ROWS, 1) for each in (cuts[:-1], cuts[1:]))
    places = np.maximum(starts - CONTEXT, 0) + np.arange(CONTEXT + (ends - starts).max())
    inputs, targets = (ids[np.minimum(places + k, count)].astype(np.int32) for k in (0, 1))
    return inputs, np.where((places >= starts) & (places < ends), targets, IGNORED)
