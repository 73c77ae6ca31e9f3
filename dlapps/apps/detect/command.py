"""The command `dlapps detect`."""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from dlapps import files, interruption, terminal
from dlapps.apps.detect.config import EPOCHS, NETWORK, Config
from dlapps.commands import FORMATS, AppCommand, app_arguments, strictly
from dlapps.errors import UserError
from dlapps.options import CountOr, Option, named_options, options

PARTS = click.FloatRange(0, 1)


@click.command(cls=AppCommand, both=("image_size", "model"))
@app_arguments((*FORMATS, "coco", "yolo"), folder_for="yolo")
@click.option(
    "--confidence", cls=Option, type=PARTS, default=0.25, show_default=True,
    help="Show boxes whose score is above this.",
)  # fmt: skip
@click.option(
    "--iou", cls=Option, type=PARTS, default=0.45, show_default=True,
    help="Of two boxes of a class that overlap more than this, keep the surer one.",
)  # fmt: skip
@click.option(
    "--classes", cls=Option, metavar="NAMES",
    help="Look for these alone: names or numbers, with commas between.  [default: all]",
)  # fmt: skip
@click.option(
    "--max-detections", cls=Option, type=click.IntRange(min=1), default=300, show_default=True,
    help="Boxes to show of a picture at most.",
)  # fmt: skip
@click.option(
    "--tile", cls=Option, type=CountOr(min=64), metavar="PIXELS",
    help="Look at pictures larger than this in overlapping tiles of so many pixels a side, too; "
    "finds what is small.",
)  # fmt: skip
@click.option(
    "--every", cls=Option, type=click.IntRange(min=1), default=1, show_default=True,
    metavar="N", help="Look at every N-th frame of a video.",
)  # fmt: skip
@click.option(
    "--save-images", cls=Option, type=click.Path(file_okay=False), metavar="DIR",
    help="Write the pictures, with their boxes drawn, to this folder.",
)  # fmt: skip
@click.option(
    "--save-video", cls=Option, type=click.Path(), metavar="FILE|DIR",
    help="Write the videos, with their boxes drawn, to this .mp4 or .avi, or to this folder.",
)  # fmt: skip
@click.option(
    "--weights", cls=Option, type=click.Path(dir_okay=False), metavar="FILE",
    help="Weights of the Darknet .cfg that --model names.",
)  # fmt: skip
@click.option(
    "--names", cls=Option, type=click.Path(dir_okay=False), metavar="FILE",
    help="Names of its classes, one a line.",
)  # fmt: skip
@options(Config)
def detect(
    inputs: tuple[str, ...], mode: str | None, resume: str | None, show_schedule: bool,
    config: Config, strict: bool, **use: Any,
) -> None:  # fmt: skip
    """Find things in pictures and videos, or learn to from pictures with boxes.

    INPUTS are pictures and videos: files, folders, globs, .txt lists, - for standard input, or
    webcam:0. With --train or --finetune it is the dataset: a YOLO data.yaml, a COCO .json, a
    folder of Pascal VOC, tfds:NAME, or sample.

    \b
    Examples:
      dlapps detect street.jpg --save-images out/
      dlapps detect --finetune cells/data.yaml
      dlapps detect clip.mp4 --every 5 --classes person,dog --save-video out.mp4
    """
    if resume is not None:
        if inputs or mode or use["model"]:
            raise click.UsageError(
                "--resume takes dataset, mode and model from the run; leave them out."
            )
        _train(lambda train: train.resume(resume, config, named_options(Config)))
        return
    if mode is not None:
        if strict:
            raise click.UsageError("--strict is for prediction, not for training.")
        _learn([*inputs], mode, show_schedule, config, use["model"], use["output"])
        return
    if not inputs:
        raise click.UsageError("INPUTS are missing: name a picture, a video, a folder or a glob.")
    said = "image_size" in named_options(Config) and config.image_size != "auto"
    _predict(inputs, strict, image_size=int(config.image_size) if said else None, **use)


def _learn(
    words: list[str], mode: str, show_schedule: bool, config: Config, model: str | None,
    output: str | None,
) -> None:  # fmt: skip
    if len(words) > 1:
        raise click.UsageError(f"--{mode} takes one dataset, got {len(words)}.")
    if show_schedule:
        _draw_schedule(mode, config, output)
        return
    if output:
        raise click.UsageError(f"-o is for prediction, not for --{mode}; see --run.")
    named = named_options(Config)
    for network in NETWORK:
        if model and network in named:
            raise click.UsageError(
                f"{named[network]} is settled by the model that --model goes on with."
            )
    if not words:
        terminal.note("No dataset named: learning from 'sample', scattered digits.")
    data = words[0] if words else "sample"
    _train(lambda train: train.train(data, mode, config, model))


def _train(start: Callable[[Any], Any]) -> None:
    with terminal.quiet():
        from dlapps.apps.detect import train
    done = start(train)
    figures = done.record["figures"]
    terminal.note(
        f"Held-out mAP50 {figures['val_map50']:.4f}, mAP50-95 {figures['val_map50_95']:.4f}."
    )
    terminal.note(f"Use it:      dlapps detect PICTURES --model {done.folder}")
    terminal.note(f"Measure it:  dlapps evaluate {done.folder}")
    terminal.note(f"Look at it:  {done.folder / 'report.html'}")
    click.echo(done.folder)


def _draw_schedule(mode: str, config: Config, output: str | None) -> None:
    from dlapps import schedule_chart

    epochs = EPOCHS[mode] if config.epochs == "auto" else int(config.epochs)
    schedule_chart.draw(config, config.learning_rate, epochs, Path(output) if output else None)


def _predict(
    words: tuple[str, ...], strict: bool, model: str | None, weights: str | None,
    names: str | None, classes: str | None, every: int, format_: str, output: str | None,
    save_images: str | None, save_video: str | None, **search: Any,
) -> None:  # fmt: skip
    with terminal.quiet():
        from dlapps.apps.detect import predict
        from dlapps.data import video_files, videos
    inputs = videos.media_inputs(words)
    films = [one for one in inputs if isinstance(one, videos.Video)]
    load = _loader(model, weights, names)
    _check_output(format_, output)
    if save_images:
        files.keep_apart("--save-images", Path(save_images), (one.source for one in inputs))
        files.writable_folder(Path(save_images))
    if save_video:
        _check_video(Path(save_video), films, video_files.CODECS)
    with terminal.quiet():
        detector = load()
    wanted = predict.indices(classes, detector.labels) if classes else ()
    unreadable: dict[str, str] = {}
    with ExitStack() as stack:
        is_live = any(film.camera is not None for film in films)
        stop = stack.enter_context(interruption.polled()) if is_live else lambda: None
        found = predict.predict(
            videos.expanded(inputs, every, unreadable, stop),
            detector,
            predict.Search(classes=wanted, **search),
            unreadable,
            many=bool(films) or len(inputs) >= predict.WORTH_COMPILING,
            window=1 if is_live else predict.BATCH if films else predict.WINDOW,
        )
        if strict:
            found = strictly(found, unreadable)
        if save_images:
            found = predict.saved(found, detector.labels, Path(save_images))
        if save_video:
            found = predict.filmed(found, detector.labels, Path(save_video))
        if (output or not sys.stdout.isatty()) and (len(inputs) > 1 or films) and not is_live:
            total = sum(videos.length(one, every) for one in inputs)
            found = _counted(found, stack.enter_context(terminal.progress("Looking", total)))
        _write(found, inputs, detector.labels, format_, output)
    terminal.skipped(unreadable)
    if len(unreadable) == len(inputs):
        raise UserError("No picture could be read.")


def _loader(model: str | None, weights: str | None, names: str | None) -> Callable[[], Any]:
    """Returns what loads the model that the options name."""
    from dlapps.apps.detect.model import load_darknet, load_model

    if model is None or Path(model).suffix.lower() != ".cfg":
        if weights or names:
            raise click.UsageError("--weights and --names go with a Darknet --model FILE.cfg.")
        return functools.partial(load_model, model or "coco")
    if weights is None or names is None:
        raise click.UsageError(f"--model {model} needs --weights FILE and --names FILE beside it.")
    return functools.partial(load_darknet, model, weights, names)


def _check_output(format_: str, output: str | None) -> None:
    if format_ == "yolo":
        if output is None:
            raise click.UsageError("--format yolo writes a file for each picture: add -o DIR.")
        files.writable_folder(Path(output))
    elif output is not None and Path(output).is_dir():
        raise click.UsageError(f"-o {output} is a folder. With --format {format_} name a file.")


def _check_video(place: Path, films: Sequence[Any], codecs: Iterable[str]) -> None:
    if not films:
        raise click.UsageError("--save-video is for videos, and INPUTS names none.")
    if place.is_dir() or not place.suffix:
        files.keep_apart("--save-video", place, (film.source for film in films))
        files.writable_folder(place)
        return
    if place.suffix.lower() not in codecs:
        kinds = " ".join(codecs)
        raise click.UsageError(f"--save-video {place} is no folder, nor one of {kinds}.")
    if len(films) > 1:
        raise click.UsageError(f"--save-video {place} is one file for {len(films)} videos.")
    if place.resolve() == Path(films[0].source).resolve():
        raise UserError(f"--save-video {place} would overwrite the video. Name another file.")
    files.writable_folder(place.parent)


def _counted(predictions: Iterable[Any], advance: Callable[[int], None]) -> Iterator[Any]:
    for prediction in predictions:
        advance(1)
        yield prediction


def _write(
    predictions: Iterable[Any], inputs: Sequence[Any], labels: Sequence[str], format_: str,
    output: str | None,
) -> None:  # fmt: skip
    from dlapps.apps.detect import predict, render

    if format_ == "yolo":
        count = sum(1 for _ in predict.written(predictions, Path(output or "")))
        terminal.note(f"Wrote {count} files to {output}.")
        return
    lines = render.lines(predictions, format_, inputs, labels)
    if output is None:
        for line in lines:
            click.echo(line)
    else:
        files.write_lines(Path(output), lines)
