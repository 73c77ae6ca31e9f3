"""The one exception meant for the terminal."""

import difflib
from collections.abc import Iterable

import click


class UserError(click.ClickException):
    """Says that a file, folder or data set of the user's is at fault; ends with exit status 1.

    Args:
        message: What is wrong, with the value; what was expected; what to do.
    """

    prefix = "Error: "  # What stands before the message.


def nearest(word: str, words: Iterable[str]) -> str:
    """Returns ` Did you mean 'x'?` for the nearest of `words`, or nothing if none is near."""
    close = difflib.get_close_matches(word, [*words], n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def reason(error: Exception) -> str:
    """Returns what the system said of a file, without its number and path."""
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")
