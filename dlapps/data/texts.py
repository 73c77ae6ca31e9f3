"""Reads texts of any length and encoding as characters."""

import codecs
import contextlib
import io
import mmap
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlapps.data.inputs import named_files
from dlapps.errors import UserError, nearest, reason

SUFFIXES = {".md", ".rst", ".tex", ".text", ".txt"}
CHUNK = 1 << 24  # bytes
# The longer marks first: that of UTF-32 begins with that of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What Python decodes to text, though no text is ever in it.
NO_TEXT = ("idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape")


@dataclass(frozen=True)
class Text:
    """A text to read, a piece at a time, as often as needed.

    Args:
        name: What the user calls it.
        source: Its file, its bytes, or its characters.
        encoding: Of its bytes, or "auto".
        normalization: A Unicode normal form, or "none".
    """

    name: str
    source: Path | bytes | str
    encoding: str = "auto"
    normalization: str = "none"

    def pieces(self) -> Iterator[str]:
        """Yields the characters in order, lines ending with a line feed; files are mapped.

        Raises:
            UserError: If it cannot be read, or is no text in that encoding.
        """
        if isinstance(self.source, str):
            yield from _normalized(iter([self.source]), self.normalization)
            return
        if isinstance(self.source, bytes):
            yield from _normalized(self._decoded(self.source), self.normalization)
            return
        try:
            with self.source.open("rb") as file, _mapped(file) as data:
                yield from _normalized(self._decoded(data), self.normalization)
        except OSError as error:
            raise UserError(f"{self.name} cannot be read: {reason(error)}.") from error

    def _decoded(self, data: bytes | mmap.mmap) -> Iterator[str]:
        encoding, start = self.encoding, data[:4]
        marks = [each for each in BYTE_ORDER_MARKS if start.startswith(each[0])]
        if encoding == "auto":
            encoding = marks[0][1] if marks else "utf-8"
            if encoding == "utf-8" and (zero := data.find(b"\0")) >= 0:
                raise UserError(
                    f"{self.name} is a binary file, no text: byte {zero} is zero. "
                    "If it is UTF-16, say --encoding utf-16-le or utf-16-be."
                )
        decoder = codecs.getincrementaldecoder(encoding)()
        lines = io.IncrementalNewlineDecoder(None, translate=True)
        # A mark is none of the characters.
        own = [mark for mark, name in marks if name == codecs.lookup(encoding).name]
        first = len(own[0]) if own else 0
        for place in range(first, len(data), CHUNK):
            waiting = len(decoder.getstate()[0])
            final = place + CHUNK >= len(data)
            try:
                yield lines.decode(decoder.decode(data[place : place + CHUNK], final), final)
            except UnicodeDecodeError as error:
                offset = place - waiting + error.start
                byte = error.object[error.start]
                raise UserError(
                    f"{self.name} is not in {encoding.upper()}: byte 0x{byte:02x} at offset "
                    f"{offset}. Bring it into UTF-8, or name its --encoding, such as latin-1."
                ) from error
            except UnicodeError as error:  # Of UTF-16 and UTF-32.
                raise UserError(
                    f"{self.name} is not in {encoding.upper()}: it has no byte order mark. "
                    f"Say --encoding {encoding}-le or {encoding}-be."
                ) from error


@contextlib.contextmanager
def _mapped(file: io.BufferedReader) -> Iterator[bytes | mmap.mmap]:
    try:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (ValueError, OSError):  # Empty, or a pipe.
        yield file.read()
        return
    with data:
        yield data


def _normalized(pieces: Iterator[str], form: str) -> Iterator[str]:
    if form == "none":
        yield from pieces
        return
    rest = ""
    for piece in pieces:
        # A character and the marks that combine with it stay together: no mark begins a line.
        whole, line_end, rest = (rest + piece).rpartition("\n")
        yield unicodedata.normalize(form, whole + line_end)  # type: ignore[arg-type]  # checked before
    yield unicodedata.normalize(form, rest)  # type: ignore[arg-type]  # checked before


def texts(words: Sequence[str], encoding: str = "auto", normalization: str = "none") -> list[Text]:
    """Lists the texts that words name, in their order.

    Args:
        words: Files, folders (searched to the bottom for text files), globs, or `-` for standard
            input.
        encoding: Of all of them, or "auto".
        normalization: A Unicode normal form, or "none".

    Raises:
        UserError: If a word names nothing, or there is no such encoding.
    """
    there_is = encoding == "auto"
    if not there_is:
        # Names of no codec, and codecs from bytes to bytes, fail in ways of their own.
        with contextlib.suppress(Exception):
            "a".encode(encoding)
            there_is = codecs.lookup(encoding).name.replace("-", "_") not in NO_TEXT
    if not there_is:
        known = ("utf-8", "utf-16", "latin-1", "cp1252", "utf-16-le", "utf-16-be")
        raise UserError(
            f"--encoding {encoding}: there is no such encoding.{nearest(encoding, known)} "
            "Try utf-8, latin-1 or cp1252."
        )
    found = [each for word in words for each in _named(word)]
    return [Text(name, source, encoding, normalization) for name, source in found]


def _named(word: str) -> Sequence[tuple[str, Path | bytes]]:
    if word == "-":
        return [("standard input", sys.stdin.buffer.read())]
    if not word:
        raise UserError("An empty name names no text.")
    return named_files(word, SUFFIXES, "texts")
