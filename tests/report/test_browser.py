"""Opens reports in a real browser, where there is one."""

import html
import json
import re
import subprocess

import pytest

from dlapps.report import page
from tests.browser import installed
from tests.report.made import epochs, make_full_run, make_run

# Headless windows are never narrower than 500 pixels, frames are.
FRAME = """<!doctype html><title>nothing</title>
<script>onmessage = (event) => { document.title = event.data; };</script>
<iframe src="page.html" style="border: 0; width: WIDTHpx; height: 900px"></iframe>"""
START = """<script>
const faults = [];
addEventListener("error", (event) => faults.push(event.message || "a resource"), true);
addEventListener("securitypolicyviolation", (event) => faults.push(event.blockedURI));
</script>"""
END = """<script>
addEventListener("load", () => {
  const root = document.documentElement;
  const plot = document.querySelector(".plot, .cells");
  const place = plot && plot.getBoundingClientRect();
  if (plot) plot.dispatchEvent(new PointerEvent("pointermove", {
    clientX: place.left + place.width - 1, clientY: place.top + 5, bubbles: true,
  }));
  parent.postMessage(JSON.stringify({
    faults,
    requests: performance.getEntriesByType("resource").map((each) => each.name),
    width: root.clientWidth,
    content: root.scrollWidth,
    plot: place && place.width,
    pictures: [...document.images].filter((each) => !each.naturalWidth).length,
    tip: document.querySelector(".tip").textContent,
    back: getComputedStyle(document.body).backgroundColor,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
  }), "*");
});
</script>"""


@pytest.fixture
def seen(tmp_path):
    """Returns a function that shows runs to a browser and tells what it makes of their page."""
    browser = installed()

    def look(runs, width=390, *settings):
        text = page.page(runs).replace("<head>", "<head>" + START)
        (tmp_path / "page.html").write_text(text.replace("</body>", END + "</body>"))
        (tmp_path / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
        done = subprocess.run(
            [
                browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000",
                "--virtual-time-budget=5000", *settings, "--dump-dom",
                (tmp_path / "frame.html").as_uri(),
            ],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        title = re.search("<title>(.*?)</title>", done.stdout, re.DOTALL)
        assert title, done.stderr
        return json.loads(html.unescape(title[1]))

    return look


def made(kind, folder):
    if kind == "bare":
        return [make_run(folder / "a")]
    if kind == "several":
        return [make_run(folder / f"a-long-name-of-a-run-{k}", epochs()) for k in range(9)]
    long = "x" * 300
    count, layers = (1, 1) if kind == "one epoch" else (30, 60)
    return [make_full_run(folder / "a", count, layers, options={"run": long}, mode=long)]


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("kind", ["full", "one epoch", "several", "bare"])
def test_a_page_fits_every_width_and_asks_for_nothing(seen, tmp_path, kind, width):
    found = seen(made(kind, tmp_path), width)
    assert found["width"] == width
    assert found["content"] <= width
    assert found["faults"] == []
    assert found["requests"] == []
    assert found["pictures"] == 0
    assert kind == "bare" or found["plot"] > 200


@pytest.mark.slow
def test_values_are_shown_under_the_pointer(seen, tmp_path):
    run = make_full_run(tmp_path / "a", count=6)
    assert seen([run])["tip"] == "Epoch 12 (finetune 6)training: 0.1667validation: 0.25"


@pytest.mark.slow
def test_a_page_is_dark_where_the_reader_wants_it_so(seen, tmp_path):
    runs = [make_full_run(tmp_path / "a")]
    light = seen(runs)
    dark = seen(runs, 390, "--blink-settings=preferredColorScheme=0")
    assert (light["dark"], dark["dark"]) == (False, True)
    assert light["back"] == "rgb(246, 247, 248)"
    assert dark["back"] == "rgb(17, 20, 23)"
