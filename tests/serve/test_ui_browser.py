"""The page as a browser shows it, and what the browser asks for meanwhile."""

import time

import pytest

from dlapps.serve import ui
from tests.browser import browser
from tests.serve.pages import KEY, colours, letters, picture
from tests.serve.running import running


@pytest.fixture(scope="module")
def client():
    with running([colours(), letters()], ui.add, max_body=1_000_000) as client:
        yield client


@pytest.fixture
def page(tmp_path):
    with browser(tmp_path) as page:
        yield page


def press(page, name):
    """Presses a button as soon as it is there."""
    seen = "[...document.querySelectorAll('button')].filter(b => b.offsetParent)"
    named = f"{seen}.find(b => b.textContent.trim() == '{name}')"
    page.wait(f"!!{named}")
    page.tell(f"{named}.click()")


def drop(page, address, path, file):
    """Opens the page and gives it a picture."""
    path.write_bytes(file)
    page.open("about:blank")
    page.open(address)
    page.wait("document.querySelector('input[type=file]')?.isConnected")
    page.give("input[type=file]", path)


def see(page, text):
    page.wait(f"document.body?.innerText.includes('{text}')")


def check(page, client):
    """Sees that nothing was asked of anybody else, and no script failed."""
    here = f"http://127.0.0.1:{client.port}/"
    local = (here, "data:", "blob:", "about:")
    assert [each for each in page.requests if not each.startswith(local)] == []
    # The page names a manifest for phones that it does not need, and no icon.
    needless = ("manifest.json", "favicon.ico")
    assert [each for each in page.faults if not any(name in each for name in needless)] == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1200])
def test_in_a_browser_a_picture_gets_its_classes(client, page, tmp_path, width):
    page.look(width)
    address = f"http://127.0.0.1:{client.port}/ui/"
    for colour, first in (("red", "red <b>"), ("blue", "blue")):
        drop(page, address, tmp_path / "a.png", picture(colour))
        see(page, f"{first}\\n100%")
        assert page.tell("document.documentElement.scrollWidth") <= width
    drop(page, address, tmp_path / "a.png", b"no picture")
    see(page, "The file is not a picture in a known format.")
    check(page, client)


@pytest.mark.slow
def test_in_a_browser_a_text_is_written(client, page):
    page.look()
    page.open(f"http://127.0.0.1:{client.port}/ui/")
    fields = "[...document.querySelectorAll('textarea')].filter(t => t.offsetParent)"
    tab = (
        "[...document.querySelectorAll('[role=tab]')].find(t => t.textContent.trim() == 'letters')"
    )
    page.wait(f"({tab}?.click(), {fields}.length > 1)")
    page.tell(
        f"(t => {{ t.value = 'cde'; t.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
        f"({fields}[0])"
    )
    press(page, "Write")
    page.wait(f"{fields}.some(t => t.value.startsWith('cdefg\\nabcdefg\\n'))")
    check(page, client)


@pytest.mark.slow
def test_in_a_browser_the_password_opens_all_of_the_page(page, tmp_path):
    with running([colours()], ui.add, key=KEY) as client:
        page.know("me", KEY)
        address = f"http://127.0.0.1:{client.port}/ui/"
        drop(page, address, tmp_path / "a.png", picture("blue"))
        see(page, "blue\\n100%")
        began = time.monotonic()
    # It ends at once, though a page is open.
    assert time.monotonic() - began < 10
