"""Cuts captions into words, as the standard measures of captions do."""

import re

# What the standard measures leave out. Brackets they keep, under these names.
PUNCTUATION = frozenset(
    {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"}
    | {'"', "\u2026", "\u2013", "\u2014", "\u2018", "\u201c", "\u201d", "..", "....", "*"}
)
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "{": "-lcb-", "}": "-rcb-", "[": "-lsb-", "]": "-rsb-"}
# Words that end with a full stop of their own: single letters, and these.
ABBREVIATIONS = (
    r"(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|inc|ltd|co|corp|gen|col|lt|sgt|capt|rev|no|mt|ft|"
    r"ave|blvd|dept|est|jan|feb|aug|sept|oct|nov|dec|[a-z](?:\.[a-z])*)\."
)
PARTS = re.compile(
    rf"\b{ABBREVIATIONS}(?=[\s,]|$)"
    r"|[+-]?\d+(?:[.,:/]\d+)+(?:st|nd|rd|th)?(?!\w)"
    # Endings that are words of their own: it's, they're, do n't; and the 'n' in between.
    r"|'(?:s|m|d|re|ve|ll)\b|n't\b|'n'"
    # A word before n't ends where that begins; hyphens and the like stay inside of words.
    r"|[^\W_]+?(?=n't\b)"
    r"|[^\W_]+(?:[-_/@][^\W_]+|\.[^\W_]{2,}|'(?!(?:s|m|d|re|ve|ll)\b|n')[^\W_]+)*"
    r"|\.{2,}|-{2,}|''|``|\S"
)
TWO_WORDS = {"cannot": ("can", "not"), "gonna": ("gon", "na"), "gotta": ("got", "ta")}


def words(caption: str) -> list[str]:
    """Returns the words of a caption in small letters, without punctuation.

    It cuts as the tokenizer of the Penn Treebank does (https://catalog.ldc.upenn.edu/LDC99T42),
    whose Java version the standard measures call, but for the rarest cases: `it's` becomes `it` and
    `'s`, `don't` becomes `do` and `n't`, `t-shirt` stays one word.

    Args:
        caption: One line of text in a language that puts spaces between words.
    """
    found: list[str] = []
    for token in PARTS.findall(caption.lower().replace("\u2019", "'")):
        if token in TWO_WORDS:
            found += TWO_WORDS[token]
        elif token not in PUNCTUATION:
            found.append(BRACKETS.get(token, token))
    return found


def sentence(tokens: list[str]) -> str:
    """Returns words as a person writes them: endings joined, the first letter large.

    Args:
        tokens: As `words` cuts them.
    """
    marks = {name: mark for mark, name in BRACKETS.items()}
    text = ""
    for token in tokens:
        joined = not text or text[-1] in "({[" or token in ("n't", "-rrb-", "-rcb-", "-rsb-")
        joined |= token.startswith("'")
        text += ("" if joined else " ") + marks.get(token, token)
    return text[:1].upper() + text[1:]
