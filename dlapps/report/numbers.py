"""Numbers, names and durations as a reader wants them, and which measures are better when low."""

import json
import math
from collections.abc import Iterable
from typing import Any

# Words that a measure's name begins with, or holds between underscores.
LOWER_IS_BETTER = ("loss", "error", "nats", "bits", "perplexity", "mae", "mse", "rmse")
HIGHER_IS_BETTER = (
    "accuracy", "map", "bleu", "cider", "rouge", "f1", "precision", "recall", "iou", "auc",
)  # fmt: skip
SHOWN_ITEMS = 12
# Measures whose papers write them otherwise than as words.
NAMES = {
    "map50": "mAP50", "map50_95": "mAP50-95", "map75": "mAP75",
    **{f"bleu{n}": f"BLEU-{n}" for n in range(1, 5)},
    "cider": "CIDEr", "rouge_l": "ROUGE-L", "meteor": "METEOR", "f1": "F1",
}  # fmt: skip


def number(value: float) -> str:
    """Returns a number with three or four digits that count."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if 1000 <= abs(value) < 1e6:
        return f"{value:.0f}"
    if 1e-3 <= abs(value) < 1000:
        return f"{value:.4g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def exact(value: Any) -> str:
    """Returns the value of an option, or whatever else a record holds, on one line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _short_exponent(f"{value:.10g}") if math.isfinite(value) else number(value)
    if isinstance(value, list | tuple):
        more = len(value) - SHOWN_ITEMS
        shown = ", ".join(exact(item) for item in value[:SHOWN_ITEMS])
        return f"{shown} and {more} more" if more > 0 else shown or "none"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _short_exponent(text: str) -> str:
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}{e}{int(exponent)}" if e else text


def duration(seconds: float) -> str:
    """Returns a duration in its two largest units."""
    if not math.isfinite(seconds):
        return number(seconds)
    if seconds < 60:
        return f"{number(round(seconds, 1))} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def total(values: Iterable[float | None]) -> float:
    """Returns the sum of what was measured and is a number."""
    return math.fsum(value for value in values if value is not None and math.isfinite(value))


def title(name: str) -> str:
    """Returns the name of a measure as words: `val_top5_accuracy` is "validation top5 accuracy"."""
    plain = name.removeprefix("val_")
    words = NAMES.get(plain, plain.replace("_", " "))
    return f"validation {words}" if name.startswith("val_") else words


def heading(text: str) -> str:
    """Returns `text` with its first letter large, unless its first word is spelt its own way."""
    if text.split(" ")[0].islower():
        return text[:1].upper() + text[1:]
    return text


def plural(count: int, noun: str) -> str:
    """Returns a count with its noun: "1 epoch", "2 epochs"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def lower_is_better(name: str) -> bool | None:
    """Tells from a measure's name in which direction it gets better; None if it does not say."""
    words = name.split("_")
    for better, beginnings in ((True, LOWER_IS_BETTER), (False, HIGHER_IS_BETTER)):
        if any(word.startswith(beginnings) for word in words):
            return better
    return None


def is_number(value: Any) -> bool:
    """Tells whether `value` is a number, which True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def headline(figures: dict[str, Any]) -> str | None:
    """Returns the name of the measure that says best how good a model is.

    One of validation counts before one of training, a measure before a loss.
    """
    names = [name for name in figures if name not in ("phase", "epoch")]
    names = [name for name in names if is_number(figures[name])]

    def rank(name: str) -> tuple[bool, bool, bool]:
        is_loss = "loss" in name
        return not name.startswith("val_"), is_loss, lower_is_better(name) is None

    return min(names, key=rank, default=None)
