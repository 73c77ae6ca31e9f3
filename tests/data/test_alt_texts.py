import pytest

from dlapps.data.alt_texts import read_pages
from dlapps.errors import UserError

HTML = """<!doctype html>\r
<p>caf\xe9</p>\r
<!-- <img src="cat.png"> -->
<script>let x = '<img src="cat.png">';</script>
<img src="cat.png"><IMG class='a > b' src='my%20dog.jpg' width=3/>
<img src="cat.png" alt="A cat"><img src="cat.png" alt=""><img alt src=cat.png>
<img src="https://example.com/x.png"><img src="data:image/png;base64,AAAA">
<img src="gone.png"><img src=cat.png>
"""
MARKDOWN = """# Page
![](cat.png) and ![A cat](cat.png) and ![ ](<my dog.jpg> "title")
`![](cat.png)` and \\![](cat.png)
```
![](cat.png)
```
<img src="cat.png">
![](gone.png) ![](http://example.com/a.png)
"""
TEXTS = {"cat.png": "A cat", "my dog.jpg": 'A "big" dog [wet]'}


@pytest.fixture
def folder(tmp_path):
    for name in ("cat.png", "my dog.jpg"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def read(folder, name, text):
    (folder / name).write_bytes(text.encode("latin-1"))
    [page] = read_pages([str(folder / name)])
    return page, {str(folder / key): value for key, value in TEXTS.items()}


def test_fills_the_gaps_of_html_and_keeps_the_rest_byte_for_byte(folder):
    page, texts = read(folder, "page.html", HTML)
    expected = (
        HTML.replace('<img src="cat.png"><IMG', '<img alt="A cat" src="cat.png"><IMG')
        .replace("<IMG class", '<IMG alt="A &quot;big&quot; dog [wet]" class')
        .replace("<img src=cat.png>", '<img alt="A cat" src=cat.png>')
    )
    assert page.filled(texts) == expected.encode("latin-1")


def test_fills_the_gaps_of_markdown_and_keeps_the_rest(folder):
    page, texts = read(folder, "page.md", MARKDOWN)
    expected = (
        MARKDOWN.replace("![](cat.png) and ![A", "![A cat](cat.png) and ![A")
        .replace("![ ](<my", '![A "big" dog \\[wet\\]](<my')
        .replace('<img src="cat.png">', '<img alt="A cat" src="cat.png">')
    )
    assert page.filled(texts) == expected.encode("latin-1")


def test_a_page_without_texts_stays_as_it_is(folder):
    page, _ = read(folder, "page.html", HTML)
    assert page.filled({}) == HTML.encode("latin-1")


def test_a_filled_page_has_no_gaps(folder):
    page, texts = read(folder, "page.html", HTML)
    (folder / "page.html").write_bytes(page.filled(texts))
    assert read_pages([str(folder / "page.html")])[0].gaps == []


def test_names_what_it_cannot_describe(folder):
    page, _ = read(folder, "page.html", HTML)
    assert page.remote == ["https://example.com/x.png", "data:image/png;base64,AAAA"]
    assert page.missing == ["gone.png"]
    where = f"{folder / 'page.html'}: places without alt text whose"
    assert page.notes() == [
        f"{where} pictures are no files beside it: 2, such as https://example.com/x.png.",
        f"{where} files are missing: 1, such as gone.png.",
    ]


def test_the_preview_names_line_and_picture(folder):
    page, texts = read(folder, "page.md", MARKDOWN)
    assert page.preview(texts) == [
        f"{folder / 'page.md'}:2  cat.png  A cat",
        f'{folder / "page.md"}:2  my dog.jpg  A "big" dog [wet]',
        f"{folder / 'page.md'}:7  cat.png  A cat",
    ]


def test_pages_of_a_folder_are_all_read(folder):
    for name in ("a.html", "b.md", "c.txt"):
        (folder / name).write_text('<img src="cat.png">')
    assert [page.path.name for page in read_pages([str(folder)])] == ["a.html", "b.md"]


def test_what_is_no_page_is_refused(folder):
    with pytest.raises(UserError, match=r"cat\.png is no page\. --alt-text takes"):
        read_pages([str(folder / "cat.png")])
    (folder / "wide.html").write_bytes("<img src=cat.png>".encode("utf-16"))
    with pytest.raises(UserError, match=r"wide\.html is not in UTF-8: it holds zero bytes"):
        read_pages([str(folder / "wide.html")])
