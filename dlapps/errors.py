"""The one exception meant for the terminal."""

import difflib
import re
from collections.abc import Iterable

import click

# More than this is a value that nobody reads to its end.
LONGEST = 1000
# What ends a line or speaks to the terminal, and halves of characters.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class UserError(click.ClickException):
    """Says that a file, folder or data set of the user's is at fault; ends with exit status 1.

    Args:
        message: What is wrong, with the value; what was expected; what to do. It is made one line:
            a value that comes from a file may hold anything.
    """

    prefix = "Error: "  # What stands before the message.

    def __init__(self, message: str):
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """Returns a text with its control characters spelt out, and without its middle if it is long.

    Args:
        text: At most so many characters of it are kept as `LONGEST` says, and three dots.
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 :]}"
    return _UNSEEN.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def nearest(word: str, words: Iterable[str]) -> str:
    """Returns ` Did you mean 'x'?` for the nearest of `words`, or nothing if none is near."""
    close = difflib.get_close_matches(word, [*words], n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def reason(error: Exception) -> str:
    """Returns what the system said of a file, without its number and path."""
    return (getattr(error, "strerror", None) or str(error)).rstrip(".")
