"""The command `dlapps models`."""

import csv
import io
import json
from pathlib import Path

import click

from dlapps import files
from dlapps.commands import output_options
from dlapps.weights import builtin


@click.command()
@output_options()
def models(format_: str, output: str | None) -> None:
    """List the models that --model and --backbone take by name."""
    text = _FORMATS[format_](builtin.rows())
    if output:
        files.write(Path(output), text + "\n")
    else:
        click.echo(text)


def _table(rows: list[dict]) -> str:
    text = []
    for title, online in (("Built in, no network needed", False), ("Downloaded by Keras", True)):
        text.append(f"{title}:")
        text.append(f"  {'name':<24} {'for':<9} {'weights':>8} {'size':>8}  {'licence':<11} figure")
        for row in rows:
            if row["online"] == online:
                text.append(
                    f"  {row['name']:<24} {row['app']:<9} {row['parameters']:>6.1f} M"
                    f" {row['megabytes']:>5.0f} MB  {row['licence']:<11} {row['figure']}"
                )
        text.append("")
    sources = {row["name"]: row["source"] for row in rows if not row["online"]}
    text += [f"{name}: from {source}." for name, source in sources.items()]
    return "\n".join(text)


def _csv(rows: list[dict]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().rstrip("\n")


_FORMATS = {
    "table": _table,
    "json": lambda rows: json.dumps(rows, indent=2),
    "jsonl": lambda rows: "\n".join(json.dumps(row) for row in rows),
    "csv": _csv,
}
