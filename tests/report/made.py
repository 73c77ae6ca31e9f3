"""Run folders as a training leaves them, made up."""

import base64
import csv
import json

from dlapps import runs

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
PICTURES = ("train_batch.png", "filters.png", "right.png", "wrong.png")


def epochs(count=4, phase="train", **columns):
    """Returns rows of a history; a column is a number, or a function of the epoch."""
    columns = {"loss": lambda k: 1 / k, "val_loss": lambda k: 1.5 / k, **columns}
    return [
        {"phase": phase, "epoch": k}
        | {name: value(k) if callable(value) else value for name, value in columns.items()}
        for k in range(1, count + 1)
    ]


def write_table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        names = [*dict.fromkeys(name for row in rows for name in row)]
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)


def make_run(folder, history=None, layers=None, pictures=(), samples="", **record):
    """Writes a run folder and returns what `runs.read` does."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "app": "classify",
        "state": "finished",
        "started": "2026-11-03T14:12:07+0100",
        "mode": "train",
        "options": {},
        "dataset": {"data": "flowers/", "fingerprint": "9f86d081884c7d659a2feaa0c55ad015"},
        "figures": {},
        **record,
    }
    (folder / runs.RECORD).write_text(json.dumps(record), encoding="utf-8")
    for name, rows in (("history.csv", history), ("layers.csv", layers)):
        if rows:
            write_table(folder / name, rows)
    for name in pictures:
        (folder / name).write_bytes(PIXEL)
    if samples:
        (folder / "samples.txt").write_text(samples, encoding="utf-8")
    return runs.read(folder)


def make_full_run(folder, count=6, num_layers=3, **record):
    """Writes a run of two phases with everything that a report can show."""
    columns = {
        "accuracy": lambda k: 1 - 0.5 / k,
        "val_accuracy": lambda k: 1 - 0.6 / k,
        "seconds": 60,
        "input_seconds": 15,
        "learning_rate": lambda k: 0.001 / k,
        "gradient_norm": 1,
        "gradient_norm_max": 3,
        "clip_threshold": 2,
        "clipped": 0.25,
        "update_ratio_min": 1e-5,
        "update_ratio_mean": 1e-3,
        "update_ratio_max": 1e-2,
    }
    history = epochs(count, "head", **columns) + epochs(count, "finetune", **columns)
    layers = [
        {
            **{name: row[name] for name in ("phase", "epoch")},
            "layer": f"block_{k}/kernel",
            "update_ratio_mean": 10 ** -(k % 7),
            "dead": k / num_layers,
            "saturated": 0.01,
            "largest": k,
        }
        for row in history
        for k in range(num_layers)
    ]
    figures = {
        "phase": "finetune",
        "epoch": 2,
        "loss": 0.5,
        "val_loss": 0.75,
        "accuracy": 0.75,
        "val_accuracy": 0.7,
        "results": {"accuracy": 0.7, "chance_accuracy": 0.2},
    }
    record = {"figures": figures, **record}
    return make_run(folder, history, layers, PICTURES, "Once upon a time", **record)
