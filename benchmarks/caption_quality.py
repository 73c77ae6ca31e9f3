"""How good are captions, and how is it told?

Captions the pictures of DATA that a model has not learnt from (those of the split list with the
name --split), and prints BLEU-1 to 4, ROUGE-L and CIDEr as dlapps computes them, beside the nearest
picture's caption and the most usual one. With `--check PYTHON`, an environment that has
pycocoevalcap and Java (benchmarks/requirements.txt), the standard packages measure the same
captions, from the raw texts on: their tokenizer, their BLEU, ROUGE-L and CIDEr.

Show, Attend and Tell (https://arxiv.org/abs/1502.03044) has 67 / 45.7 / 31.4 / 21.3 on Flickr8k's
test part.

Commands:
  python benchmarks/caption_quality.py flickr8k/ --model runs/caption/flickr8k-1
  python benchmarks/caption_quality.py flickr8k/ --check .bench/bin/python
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path

import click
from tables import table

NAMES = ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider", "distinct")


@click.command()
@click.argument("data", type=click.Path(exists=True))
@click.option("--model", default="flickr8k", show_default=True)
@click.option("--split", type=click.Choice(["validation", "test"]), default="validation")
@click.option("--beams", default="3", show_default=True, help="Widths to try, with commas between.")
@click.option("--length-powers", default="", help="Powers of the length to try as well.")
@click.option("--check", type=click.Path(), help="Python with pycocoevalcap.")
def main(
    data: str, model: str, split: str, beams: str, length_powers: str, check: str | None
) -> None:
    """Print the table."""
    from dlapps.apps.caption import metrics
    from dlapps.apps.caption.data import read_dataset
    from dlapps.apps.caption.evaluate import baselines
    from dlapps.apps.caption.model import LENGTH_POWER, load_model
    from dlapps.apps.caption.predict import Style, answers, spoken
    from dlapps.data.words import sentence, words

    dataset = read_dataset(data)
    pictures = dataset.validation if split == "validation" else dataset.test
    if not pictures:
        raise click.UsageError(f"{data} has no part '{split}'.")
    truth = [[words(text) for text in each.captions] for each in pictures]
    captioner = load_model(model)
    rows: list[list[object]] = []
    powers = [float(power) for power in length_powers.split(",") if power] or [LENGTH_POWER]
    captions: list[list[str]] = []
    for beam in map(int, beams.split(",")):
        for power in powers:
            started = time.perf_counter()
            style = Style(beam=beam, length_power=power)
            captions = [
                spoken(each[0], captioner.vocabulary)
                for _, ids, _, _ in answers([p.source for p in pictures], captioner, style)
                for each in ids
            ]
            seconds = time.perf_counter() - started
            own = {**metrics.measures(captions, truth), **metrics.variety(captions)}
            title = f"beam {beam}, length power {power:g}"
            rows.append([title, *(own[name] * 100 for name in NAMES), len(pictures) / seconds])
    for title, own in baselines(captioner, pictures, truth, dataset.train).items():
        scores = [own[name] * 100 if name in own else None for name in NAMES]
        rows.append([title.replace("_", " "), *scores, None])
    if check:
        scores = checked(check, [sentence(each) for each in captions], pictures)
        rows.append(["the last but for baselines, by pycocoevalcap", *scores, None, None])
    click.echo(table([f"{len(pictures)} pictures", *NAMES, "a second"], rows))


def checked(python: str, captions: list[str], pictures: list) -> list[float]:
    """Returns what the standard packages measure, times 100."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "captions.json")
        path.write_text(json.dumps([captions, [list(each.captions) for each in pictures]]))
        script = Path(__file__).with_name("peer_coco_caption.py")
        said = subprocess.run([python, script, path], check=True, capture_output=True, text=True)
    return [100 * score for score in json.loads(said.stdout.splitlines()[-1])]


if __name__ == "__main__":
    main()
