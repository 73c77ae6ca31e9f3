"""Lets `python -m dlapps` do what the `dlapps` command does."""

from dlapps.cli import cli

if __name__ == "__main__":
    cli(prog_name="dlapps")
