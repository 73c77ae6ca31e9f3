"""The command `dlapps generate`."""

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from dlapps import files, terminal
from dlapps.apps.generate.config import NETWORK, Config
from dlapps.commands import AppCommand, app_arguments
from dlapps.errors import UserError
from dlapps.options import NearChoice, Option, named_options, options

# Of a longer prompt, the beginning would have no effect any more.
MOST_PROMPT = 100_000  # characters
ESCAPES = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}


@click.command(cls=AppCommand, both=("seed", "model", "encoding"))
@app_arguments()
@click.option(
    "--prompt", cls=Option, multiple=True, metavar="TEXT",
    help="Text to go on from, or FILE:path; \\n and \\t are a new line and a tab. Repeatable.",
)  # fmt: skip
@click.option(
    "--length", cls=Option, type=click.IntRange(min=1), default=500, show_default=True,
    help="Characters to write at most.",
)  # fmt: skip
@click.option(
    "--temperature", cls=Option, type=click.FloatRange(min=0, min_open=True), default=0.8,
    show_default=True, help="Below 1 the likely characters gain, above 1 the unlikely ones.",
)  # fmt: skip
@click.option(
    "--top-k", cls=Option, type=click.IntRange(min=1),
    help="Pick among so many of the likeliest characters.  [default: all]",
)  # fmt: skip
@click.option(
    "--top-p", cls=Option, type=click.FloatRange(0, 1, min_open=True),
    help="Pick among the fewest that have this probability in all.  [default: all]",
)  # fmt: skip
@click.option(
    "--samples", cls=Option, type=click.IntRange(min=1), default=1, show_default=True,
    help="Texts to write for each prompt.",
)  # fmt: skip
@click.option("--stop", cls=Option, metavar="TEXT", default="", help="Stop before this text.")
@click.option(
    "--unknown", cls=Option, type=NearChoice(("error", "drop")), default="error",
    show_default=True, help="What to do with characters of a prompt that the model does not know.",
)  # fmt: skip
@options(Config)
def generate(
    inputs: tuple[str, ...], mode: str | None, resume: str | None, show_schedule: bool,
    config: Config, strict: bool, model: str | None, **use: Any,
) -> None:  # fmt: skip
    """Write text one character at a time, or learn to from a text.

    INPUTS are files with texts to go on from. With --train or --finetune they are what to learn
    from: files, folders, globs, - for standard input, tfds:NAME, or sample. --finetune goes on
    with --model.

    \b
    Examples:
      dlapps generate --prompt "ROMEO:" --length 500
      dlapps generate --train shakespeare.txt --epochs 30
      dlapps generate --finetune letters/ --model runs/generate/shakespeare-1
    """
    if resume is not None:
        if inputs or mode or model:
            raise click.UsageError(
                "--resume takes text, mode and model from the run; leave them out."
            )
        _train(lambda train: train.resume(resume, config, named_options(Config)))
        return
    if mode is not None:
        _learn([*inputs], mode, show_schedule, config, model, use["output"])
        return
    if strict:
        raise click.UsageError("--strict is for files that may be skipped; no prompt is.")
    given = "seed" in named_options(Config)
    _write(inputs, model or "shakespeare", config.seed if given else None, config.encoding, **use)


def _learn(
    words: list[str], mode: str, show_schedule: bool, config: Config, model: str | None,
    output: str | None,
) -> None:  # fmt: skip
    if show_schedule:
        from dlapps import schedule_chart

        rate = config.learning_rate / (10 if mode == "finetune" else 1)
        place = Path(output) if output else None
        schedule_chart.draw(config, rate, int(config.epochs), place)
        return
    if output:
        raise click.UsageError(f"-o is for prediction, not for --{mode}; see --run.")
    named = named_options(Config)
    for network in NETWORK:
        if mode == "finetune" and network in named:
            raise click.UsageError(
                f"{named[network]} is settled by the model that --finetune goes on with."
            )
    if mode == "train" and model:
        raise click.UsageError("--model is what --finetune goes on with; --train begins anew.")
    if not words:
        terminal.note("No text named: learning from 'sample', Python's own documentation.")
    start = (model or "shakespeare") if mode == "finetune" else None
    _train(lambda train: train.train(words or ["sample"], mode, config, start))


def _train(start: Callable[[Any], Any]) -> None:
    with terminal.quiet():
        from dlapps.apps.generate import train
    done = start(train)
    figures = done.record["figures"]
    terminal.note(
        f"Held-out loss {figures['val_loss']:.4f} nats a character, "
        f"{figures['val_bits_per_char']:.4f} bits; perplexity {figures['val_perplexity']:.3f}."
    )
    terminal.note(f"Use it:      dlapps generate --model {done.folder}")
    terminal.note(f"Measure it:  dlapps evaluate {done.folder}")
    terminal.note(f"Look at it:  {done.folder / 'report.html'}")
    click.echo(done.folder)


def _write(
    words: tuple[str, ...], model: str, seed: int | None, encoding: str,
    prompt: tuple[str, ...], length: int, samples: int, stop: str, unknown: str, format_: str,
    output: str | None, **style: Any,
) -> None:  # fmt: skip
    with terminal.quiet():
        import numpy as np

        from dlapps.apps.generate import predict, render
        from dlapps.apps.generate.model import load_model
    with terminal.quiet():
        writer = load_model(model)
    prompts = _prompts(words, prompt, encoding, writer.normalization)
    how = predict.Style(stop=_unescaped(stop), **style)
    rng = np.random.default_rng(seed)
    ids = [_ids(text, writer.characters, model, unknown) for _, text in prompts]
    written = [
        (name, text, [predict.predict(writer, known, length, how, rng) for _ in range(samples)])
        for (name, text), known in zip(prompts, ids, strict=True)
    ]
    if format_ == "table":
        texts = ((prompt, each) for _, prompt, several in written for each in several)
        _stream(texts, output, render.BETWEEN)
        return
    done = [render.as_json(name, text, [*map("".join, each)]) for name, text, each in written]
    lines = render.lines(done, format_)
    if output:
        files.write(Path(output), lines + "\n")
    else:
        click.echo(lines)


def _prompts(
    words: tuple[str, ...], given: tuple[str, ...], encoding: str, form: str
) -> list[tuple[str | None, str]]:
    """Returns the texts to go on from, each with its file; one empty text if none is named."""
    from dlapps.apps.generate.data import read_text
    from dlapps.data.texts import Text, texts

    prompts: list[tuple[str | None, str]] = []
    for each in given:
        path = each.removeprefix("FILE:")
        if path != each:
            prompts.append((path, read_text(path, encoding, form)))
            continue
        try:
            each.encode()
        except UnicodeEncodeError as error:
            raise UserError("--prompt holds bytes that are no text in UTF-8.") from error
        own = Text("--prompt", _unescaped(each), normalization=form)
        prompts.append((None, "".join(own.pieces())))
    prompts += [(one.name, "".join(one.pieces())) for one in texts(words, encoding, form)]
    for name, text in prompts:
        if len(text) > MOST_PROMPT:
            raise UserError(
                f"{name or '--prompt'} has {len(text)} characters, but a prompt has at most "
                f"{MOST_PROMPT}. Give its end: of the beginning nothing would be left."
            )
    return prompts or [(None, "")]


def _ids(text: str, characters: str, model: str, unknown: str) -> Any:
    from dlapps.apps.generate.data import encoded, shown

    ids, strange = encoded(text, characters)
    if strange and unknown == "error":
        raise UserError(
            f"The prompt holds {shown(strange)}, which {model} does not know. It knows "
            f"{shown(characters)}. --unknown drop leaves it out."
        )
    if strange:
        terminal.note(f"Note: {model} does not know {shown(strange)}; left out of the prompt.")
    return ids


def _stream(texts: Iterable[tuple[str, Iterable[str]]], output: str | None, between: str) -> None:
    """Writes texts as they come, each after its prompt, with a line between one and the next."""
    with ExitStack() as stack:
        file = stack.enter_context(files.text_file(Path(output))) if output else sys.stdout
        for number, (prompt, pieces) in enumerate(texts):
            file.write((f"{between}\n" if number else "") + prompt)
            for piece in pieces:
                file.write(piece)
                file.flush()
            file.write("\n")


def _unescaped(text: str) -> str:
    parts = []
    while text:
        two = text[:2]
        parts.append(ESCAPES.get(two, text[0]))
        text = text[2 if two in ESCAPES else 1 :]
    return "".join(parts)
