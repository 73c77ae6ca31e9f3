"""Shows texts and evaluations as text and JSON."""

from collections.abc import Mapping, Sequence

from dlapps.apps.generate.data import Corpus, shown
from dlapps.apps.generate.metrics import bits
from dlapps.output import csv_lines, json_lines, json_list

BETWEEN = "---"
ABOUT = {
    "uniform": "all characters alike",
    "unigram": "by how frequent each is",
    "bigram": "by the one before",
    "gzip": "packed by gzip",
    "xz": "packed by xz",
}


def as_json(name: str | None, prompt: str, texts: Sequence[str]) -> dict:
    """Returns what was written in the shape that every app's JSON has.

    Args:
        name: The file that the prompt comes from, or None.
        prompt: What it goes on from.
        texts: What was written, without the prompt.
    """
    return {**({"path": name} if name else {}), "prompt": prompt, "texts": [*texts]}


def lines(written: Sequence[dict], format_: str) -> str:
    """Returns what was written, of every prompt.

    Args:
        written: What `as_json` returns.
        format_: "json", "jsonl" or "csv".
    """
    if format_ == "json":
        return "\n".join(json_list(written))
    if format_ == "jsonl":
        return "\n".join(json_lines(written))
    rows = [
        [each["prompt"], number, text]
        for each in written
        for number, text in enumerate(each["texts"], start=1)
    ]
    return "\n".join(csv_lines(["prompt", "sample", "text"], rows))


def corpus_line(corpus: Corpus, nats: Mapping[str, float]) -> str:
    """Says what is learnt from, and how well one could do without reading on."""
    known = ", ".join(f"{name} {value:.3f}" for name, value in nats.items())
    return (
        f"{corpus.name}: {len(corpus.train)} characters to learn from, {len(corpus.validation)} "
        f"held out; {len(corpus.characters)} different ones: {shown(corpus.characters, 6)}. "
        f"Loss without learning (nats a character): {known}."
    )


def evaluation_table(measures: dict) -> str:
    """Returns an evaluation as text, beside what simpler means reach."""
    rows = [("characters", f"{measures['num_characters']}", "")]
    if measures["num_unknown"]:
        rows.append(("  unknown, left out", f"{measures['num_unknown']}", ""))
    rows.append(("perplexity", f"{measures['perplexity']:.3f}", ""))
    text = [f"{name:<34}{value:>9}" for name, value, _ in rows]
    text += ["", f"{'':<34}{'nats':>9}{'bits':>9}   a character"]
    compared = {"this model": measures["nats_per_char"], **{
        f"{name} ({ABOUT[name]})": value for name, value in measures["baselines"].items()
    }}  # fmt: skip
    text += [f"{name:<34}{value:>9.4f}{bits(value):>9.4f}" for name, value in compared.items()]
    return "\n".join(text)
