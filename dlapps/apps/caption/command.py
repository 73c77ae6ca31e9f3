"""The command `dlapps caption`."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from dlapps import files, terminal
from dlapps.apps.caption.config import EPOCHS, Config
from dlapps.commands import AppCommand, app_arguments, strictly
from dlapps.errors import UserError
from dlapps.options import Option, named_options, options


@click.command(cls=AppCommand, both=("model", "seed"))
@app_arguments()
@click.option(
    "--beam", cls=Option, type=click.IntRange(1, 20), default=3, show_default=True,
    help="Captions to follow at once in the search for the likeliest; 1 takes word by word.",
)  # fmt: skip
@click.option(
    "--samples", cls=Option, type=click.IntRange(min=1),
    help="Captions to draw by chance for each picture, instead of the likeliest.",
)  # fmt: skip
@click.option(
    "--temperature", cls=Option, type=click.FloatRange(min=0, min_open=True), default=0.8,
    show_default=True, help="With --samples: below 1 the likely words gain.",
)  # fmt: skip
@click.option(
    "--top-k", cls=Option, type=click.IntRange(min=1),
    help="With --samples: draw among so many of the likeliest words.  [default: all]",
)  # fmt: skip
@click.option(
    "--save-images", cls=Option, type=click.Path(file_okay=False), metavar="DIR",
    help="Write the pictures, with their captions below, to this folder.",
)  # fmt: skip
@click.option(
    "--explain", cls=Option, is_flag=True,
    help="Save strips that show where it looked for each word instead.",
)  # fmt: skip
@click.option(
    "--alt-text", cls=Option, is_flag=True,
    help="INPUTS are .html and .md pages: show captions for the pictures in them that have no alt "
    "text.",
)  # fmt: skip
@click.option(
    "--write", cls=Option, is_flag=True, help="With --alt-text: write them into the pages."
)
@options(Config)
def caption(
    inputs: tuple[str, ...], mode: str | None, resume: str | None, show_schedule: bool,
    config: Config, strict: bool, model: str | None, **use: Any,
) -> None:  # fmt: skip
    """Say in a sentence what pictures show, or learn to from pictures with captions.

    INPUTS are files, folders, globs, .txt lists or - for standard input. With --train or
    --finetune it is the dataset: a folder or file of Flickr8k, COCO or Karpathy's JSON, a .csv of
    image and caption, tfds:NAME, or sample.

    \b
    Examples:
      dlapps caption img.jpg
      dlapps caption 'holiday/*.jpg' --save-images out/ --explain
      dlapps caption --train flickr8k/
      dlapps caption --alt-text page.html --write
    """
    if resume is not None:
        if inputs or mode or model:
            raise click.UsageError(
                "--resume takes dataset, mode and model from the run; leave them out."
            )
        _train(lambda train: train.resume(resume, config, named_options(Config), strict))
        return
    if mode is not None:
        _learn([*inputs], mode, show_schedule, config, strict, model, use["output"])
        return
    if not inputs:
        raise click.UsageError("INPUTS are missing: name a picture, a folder or a glob.")
    _check(use)
    use["seed"] = config.seed if "seed" in named_options(Config) else None
    if use.pop("alt_text"):
        _describe_pages(inputs, model, strict, **use)
    else:
        _predict(inputs, model, strict, **use)


def _check(use: dict[str, Any]) -> None:
    """Sees that no option is without the one it belongs to."""
    if use["explain"] and not use["save_images"]:
        raise click.UsageError("--explain saves strips: add --save-images DIR.")
    if use["explain"] and use["samples"]:
        raise click.UsageError("--explain shows the likeliest caption; leave out --samples.")
    if use["write"] and not use["alt_text"]:
        raise click.UsageError("--write belongs to --alt-text.")
    if use["alt_text"] and use["save_images"]:
        raise click.UsageError("--alt-text writes into pages; leave out --save-images.")
    if use["top_k"] and not use["samples"]:
        raise click.UsageError("--top-k is for captions drawn by chance: add --samples N.")


def _learn(
    words: list[str], mode: str, show_schedule: bool, config: Config, strict: bool,
    model: str | None, output: str | None,
) -> None:  # fmt: skip
    if len(words) > 1:
        raise click.UsageError(f"--{mode} takes one dataset, got {len(words)}.")
    if show_schedule:
        from dlapps import schedule_chart

        epochs = EPOCHS[mode] if config.epochs == "auto" else int(config.epochs)
        place = Path(output) if output else None
        schedule_chart.draw(config, config.learning_rate, epochs, place)
        return
    if output:
        raise click.UsageError(f"-o is for prediction, not for --{mode}; see --run.")
    if mode == "train" and model:
        raise click.UsageError("--model is what --finetune goes on with; --train begins anew.")
    if not words:
        terminal.note("No dataset named: learning from 'sample', digits on walls.")
    data = words[0] if words else "sample"
    _train(lambda train: train.train(data, mode, config, strict, model))


def _train(start: Callable[[Any], Any]) -> None:
    with terminal.quiet():
        from dlapps.apps.caption import train
    done = start(train)
    figures = done.record["figures"]
    terminal.note(
        f"Held-out CIDEr {figures['val_cider']:.4f}, BLEU-4 {figures['val_bleu4']:.4f}; "
        f"{figures['val_distinct']:.0%} of the captions differ."
    )
    terminal.note(f"Use it:      dlapps caption PICTURES --model {done.folder}")
    terminal.note(f"Measure it:  dlapps evaluate {done.folder}")
    terminal.note(f"Look at it:  {done.folder / 'report.html'}")
    click.echo(done.folder)


def _style(beam: int, samples: int | None, temperature: float, top_k: int | None, seed: int | None):
    from dlapps.apps.caption.predict import Style

    if seed is None:
        import secrets

        seed = secrets.randbelow(1 << 31)
    return Style(beam, samples or 0, temperature, top_k, seed)


def _predict(
    words: tuple[str, ...], model: str | None, strict: bool, format_: str, output: str | None,
    save_images: str | None, explain: bool, write: bool, **style: Any,
) -> None:  # fmt: skip
    with terminal.quiet():
        from dlapps.apps.caption import predict, render
        from dlapps.apps.caption.model import load_model
        from dlapps.data.inputs import picture_inputs
    inputs = picture_inputs(words)
    if save_images:
        files.writable_folder(Path(save_images))
    with terminal.quiet():
        captioner = load_model(model or "flickr8k")
    if explain and captioner.decoder != "attend":
        raise UserError(
            f"{model} looks once, before the first word; --explain has nothing to show."
        )
    unreadable: dict[str, str] = {}
    predictions = predict.predict(inputs, captioner, _style(**style), unreadable)
    if strict:
        predictions = strictly(predictions, unreadable)
    with ExitStack() as stack:
        if (output or not sys.stdout.isatty()) and len(inputs) > 1:
            advance = stack.enter_context(terminal.progress("Captioning", len(inputs)))
            predictions = _counted(predictions, advance)
        if save_images:
            folder = Path(save_images)
            predictions = predict.saved(predictions, captioner, folder, explain)
        lines = render.lines(predictions, format_, [each.name for each in inputs])
        if output:
            files.write_lines(Path(output), lines)
        else:
            for line in lines:
                click.echo(line)
    terminal.skipped(unreadable)
    if len(unreadable) == len(inputs):
        raise UserError("No picture could be read.")


def _counted(predictions: Any, advance: Any) -> Any:
    for prediction in predictions:
        advance(1)
        yield prediction


def _describe_pages(
    words: tuple[str, ...], model: str | None, strict: bool, format_: str, output: str | None,
    save_images: str | None, explain: bool, write: bool, **style: Any,
) -> None:  # fmt: skip
    """Shows captions for pictures without alt text in pages, or writes them there."""
    if format_ != "table":
        raise click.UsageError("--alt-text shows a table; leave out --format.")
    with terminal.quiet():
        from dlapps.apps.caption import predict
        from dlapps.apps.caption.model import load_model
        from dlapps.data import alt_texts
    pages = alt_texts.read_pages(words)
    gaps = [gap for page in pages for gap in page.gaps]
    for page in pages:
        for text in page.notes():
            terminal.note(f"Note: {text}")
    if not gaps:
        terminal.note("No local picture without alt text: nothing to do.")
        return
    with terminal.quiet():
        captioner = load_model(model or "flickr8k")
    unreadable: dict[str, str] = {}
    inputs = [*{gap.picture.name: gap.picture for gap in gaps}.values()]
    found = predict.predict(inputs, captioner, _style(**style), unreadable)
    if strict:
        found = strictly(found, unreadable)
    texts = {each.input.name: each.captions[0][0] for each in found}
    terminal.skipped(unreadable)
    shown = [line for page in pages for line in page.preview(texts)]
    if output and len(pages) == 1:
        files.write(Path(output), pages[0].filled(texts))
    elif output:
        raise click.UsageError("-o takes one page; use --write for several.")
    for line in shown:
        click.echo(line)
    if write:
        for page in pages:
            files.write(page.path, page.filled(texts))
        terminal.note(f"Written: {len(shown)} alt texts in {len(pages)} pages.")
    elif not output:
        terminal.note("Nothing is written yet. Add --write to write them, or -o FILE for a copy.")
