"""Finds the pictures in HTML and Markdown pages that have no alt text, and fills it in."""

import html
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dlapps.data.inputs import Input, named_files
from dlapps.errors import UserError, reason

HTML = {".html", ".htm", ".xhtml"}
MARKDOWN = {".md", ".markdown"}
# What is no page, though pictures may be named in it: comments, scripts, styles, samples of code.
_HIDDEN = re.compile(
    r"<!--.*?-->|<(script|style|template)\b.*?</\1\s*>|<!\[CDATA\[.*?\]\]>",
    re.DOTALL | re.IGNORECASE,
)
_CODE = re.compile(
    # A fence and all up to its like, or to the end;
    r"^( {0,3})(`{3,}|~{3,})[^\n]*\n.*?(?:^ {0,3}\2[`~]*[ \t]*$|\Z)"
    # or what stands between as many backticks on both sides.
    r"|(?<!`)(`+)(?!`).*?(?<!`)\3(?!`)",
    re.DOTALL | re.MULTILINE,
)
_TAG = re.compile(r"<img\b(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"([^\s\"'>/=]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+)))?", re.DOTALL
)
# ![](place "title"), with no more than spaces between the brackets.
_MARKDOWN = re.compile(r"(?<!\\)!\[[ \t]*\](?=\((<[^<>\n]*>|[^\s()]*(?:\([^\s()]*\)[^\s()]*)*))")


@dataclass(frozen=True)
class Gap:
    """A place in a page where an alt text is missing.

    Args:
        start: Where the text is to stand, in characters.
        end: Up to where the page's own characters are to be replaced by it.
        line: Which line that is, from 1.
        source: The picture as the page names it.
        picture: Its file.
        markdown: Whether it stands between square brackets, or becomes an attribute.
    """

    start: int
    end: int
    line: int
    source: str
    picture: Input
    markdown: bool


@dataclass
class Page:
    """A page, and the gaps in it.

    Args:
        path: Its file.
        text: Its characters; bytes that are no UTF-8 are kept as they are.
        gaps: In their order.
        remote: Pictures without alt text that lie elsewhere, or are no files.
        missing: Pictures without alt text whose files do not exist.
    """

    path: Path
    text: str
    gaps: list[Gap] = field(default_factory=list)
    remote: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Returns a sentence for each kind of pictures that can have no caption here."""
        told = (
            (self.remote, "whose pictures are no files beside it"),
            (self.missing, "whose files are missing"),
        )
        return [
            f"{self.path}: places without alt text {why}: {len(names)}, such as {names[0][:80]}."
            for names, why in told
            if names
        ]

    def preview(self, texts: Mapping[str, str]) -> list[str]:
        """Returns a line for each gap that there is a text for."""
        return [
            f"{self.path}:{gap.line}  {gap.source}  {texts[gap.picture.name]}"
            for gap in self.gaps
            if gap.picture.name in texts
        ]

    def filled(self, texts: Mapping[str, str]) -> bytes:
        """Returns the page with texts in its gaps; all else stays, byte for byte.

        Args:
            texts: By the name of a picture.
        """
        parts, last = [], 0
        for gap in self.gaps:
            if (text := texts.get(gap.picture.name)) is None:
                continue
            parts += [self.text[last : gap.start], _written(gap, text)]
            last = gap.end
        return "".join([*parts, self.text[last:]]).encode("utf-8", "surrogateescape")


def _written(gap: Gap, text: str) -> str:
    if gap.markdown:
        return re.sub(r"([\\\[\]*_`<>])", r"\\\1", text)
    return f' alt="{html.escape(text)}"'


def read_pages(words: Sequence[str]) -> list[Page]:
    """Reads pages and finds the gaps in them.

    Args:
        words: Files, folders (searched to the bottom for pages) or globs.

    Raises:
        UserError: If one cannot be read, or is no page.
    """
    paths = [path for word in words for _, path in named_files(word, HTML | MARKDOWN, "pages")]
    return [_read(path) for path in dict.fromkeys(paths)]


def _read(path: Path) -> Page:
    if path.suffix.lower() not in HTML | MARKDOWN:
        known = " ".join(sorted(HTML | MARKDOWN))
        raise UserError(f"{path} is no page. --alt-text takes files of these kinds: {known}.")
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from error
    if "\0" in text:
        raise UserError(f"{path} is not in UTF-8: it holds zero bytes. Bring it into UTF-8.")
    page = Page(path, text)
    markdown = path.suffix.lower() in MARKDOWN
    found = sorted([*_in_html(text, markdown), *(_in_markdown(text) if markdown else ())])
    for start, end, source, in_brackets in found:
        try:
            parts = urlsplit(source)
        except ValueError:  # It is the address of nothing, such as `//[`.
            page.missing.append(source)
            continue
        if parts.scheme or parts.netloc or not parts.path:
            page.remote.append(source)
            continue
        file = path.parent / unquote(parts.path).lstrip("/")
        if not os.path.isfile(file):  # Unlike Path's, it takes names of any length.
            page.missing.append(source)
            continue
        line = text.count("\n", 0, start) + 1
        page.gaps.append(Gap(start, end, line, source, Input(str(file), file), in_brackets))
    return page


def _in_html(text: str, markdown: bool) -> Iterator[tuple[int, int, str, bool]]:
    """Yields where tags lack an alt text: an empty one is there on purpose, and stays."""
    seen = _blanked(text, _HIDDEN)
    for tag in _TAG.finditer(_blanked(seen, _CODE) if markdown else seen):
        inner = tag.group()[4:].rstrip(">").rstrip("/")
        attributes = {
            name.lower(): next(filter(None, values), "")
            for name, *values in _ATTRIBUTE.findall(inner)
        }
        if "alt" not in attributes and attributes.get("src"):
            place = tag.start() + len("<img")
            yield place, place, html.unescape(attributes["src"]), False


def _in_markdown(text: str) -> Iterator[tuple[int, int, str, bool]]:
    for match in _MARKDOWN.finditer(_blanked(_blanked(text, _HIDDEN), _CODE)):
        source = match.group(1).strip("<>")
        if source:
            yield match.start() + 2, match.end() - 1, source, True


def _blanked(text: str, pattern: re.Pattern) -> str:
    """Returns a text of the same length with spaces for what matches."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
