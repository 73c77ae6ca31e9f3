"""Looks for files that upset a reader, guided by which of its lines they reach.

python -m tests.fuzz.explore coco -max_total_time=300
python -m tests.fuzz.explore coco voc yolo-yaml

Of several readers, the first byte of a file says which one gets the rest. What begins with a
hyphen goes to libFuzzer. A file that is found is written beside, as `crash-...`; put it, cut down,
among the findings of `tests/fuzz/test_readers.py`. It needs Atheris (pip install atheris; in none
of the extras, since not every Python has it).
"""

import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    raise SystemExit("The package atheris is missing. Install it: pip install atheris") from None

INSTRUMENTED = ["dlapps.data", "dlapps.weights", "dlapps.serve", "dlapps.report", "dlapps.runs"]
INSTRUMENTED += ["yaml", "json", "csv", "zipfile", "pickle", "PIL"]
# Bytes; what is longer is slower and no stranger.
LONGEST = 4096
# TensorFlow alone takes half of it.
MEGABYTES = 2000


def main(words: list[str]) -> None:
    """Damages files for the readers that `words` name until one is upset, or the time is over."""
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.readers import READERS, attempt
    names = [word for word in words if not word.startswith("-")]
    if not names or {*names} - {*READERS}:
        raise SystemExit(f"Name one or more readers: {', '.join(READERS)}.")
    readers = [READERS[name] for name in names]

    def read(data: bytes) -> None:
        reader = readers[0]
        if len(readers) > 1:
            reader, data = readers[data[0] % len(readers) if data else 0], data[1:]
        attempt(reader, data)

    folder = tempfile.mkdtemp()  # libFuzzer ends the process before it could be removed.
    pieces = {word for reader in readers for word in reader.words if 0 < len(word) <= 32}
    lines = ["".join(rf"\x{byte:02x}" for byte in piece) for piece in sorted(pieces)]
    dictionary = Path(folder, "words")
    dictionary.write_text("".join(f'"{line}"\n' for line in lines))
    seeds = Path(folder, "seeds")
    seeds.mkdir()
    for place, reader in enumerate(readers):
        first = bytes([place]) if len(readers) > 1 else b""
        for number, seed in enumerate(reader.seeds):
            (seeds / f"{place}-{number}").write_bytes(first + seed)
    limits = [f"-max_len={LONGEST}", f"-rss_limit_mb={MEGABYTES}", "-timeout=20"]
    options = [word for word in words if word.startswith("-")]
    told = [sys.argv[0], str(seeds), f"-dict={dictionary}", *limits, *options]
    atheris.Setup(told, read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
