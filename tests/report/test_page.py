import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from dlapps.errors import UserError
from dlapps.report import page
from tests.report.made import epochs, make_full_run, make_run

VOID = {"meta", "link", "img", "line", "rect", "circle", "path", "br"}
EVIL = "<script>alert('x')</script>\"'&"


class Reader(HTMLParser):
    """Checks that tags are balanced, and keeps addresses, headings and visible text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.headings, self.text, self.scripts = [], [], [], "", 0
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        names = ("src", "href", "srcset", "action", "data", "poster", "xlink:href", "style")
        self.addresses += [value for name, value in attributes if name in names]
        assert not any(name.startswith("on") for name, _ in attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID

    def handle_endtag(self, tag):
        if tag not in {"p", "li"} or self.open[-1] == tag:
            assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] == "h2":
            self.headings.append(text)
        if not {"script", "style"} & {*self.open}:
            self.text += text


def read(*runs):
    return Reader(page.page(runs))


def test_a_full_run_has_every_section_in_order(tmp_path):
    assert read(make_full_run(tmp_path / "a")).headings == [
        "Curves", "Gradients", "Update ratios", "Activations", "Time", "First-layer filters",
        "First batch", "Options", "Results", "Examples",
    ]  # fmt: skip


def test_a_run_that_has_just_begun_says_what_is_missing(tmp_path):
    found = read(make_run(tmp_path / "a", state="running"))
    assert found.headings == ["Curves", "Options", "Results"]
    assert "There are no curves: history.csv is missing." in found.text
    assert "There are no figures" in found.text
    assert "running" in found.text


def test_the_least_that_a_record_can_say_is_enough(tmp_path):
    run = make_run(tmp_path / "a")
    run.record.clear()
    run.record["app"] = "classify"
    assert "unknown" in read(run).text
    broken = dict.fromkeys(("figures", "options", "dataset", "versions", "phases", "mode"), 3)
    run.record.update(broken)
    assert read(run).headings == ["Curves", "Options", "Results"]


def test_the_best_measure_stands_beside_what_one_gets_without_looking(tmp_path):
    html = page.page([make_full_run(tmp_path / "a")])
    assert (
        '<div class="main"><dt>validation accuracy</dt>\n'
        "<dd>0.7<small>0.2 by chance</small></dd></div>"
    ) in html


def test_the_best_epoch_is_marked_over_all_phases(tmp_path):
    found = read(make_full_run(tmp_path / "a", count=6))
    assert "best epoch: 8 (finetune 2)" in found.text


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
def test_nothing_comes_from_outside(tmp_path, full):
    run = make_full_run(tmp_path / "a") if full else make_run(tmp_path / "a")
    for html in (page.page([run]), page.page([run, make_run(tmp_path / "b", epochs())])):
        for address in Reader(html).addresses:
            assert address.startswith(("data:", "#", "--room:")), address
        for word in ("http:", "https:", "url(", "@import", "//www", "fetch(", "XMLHttp"):
            assert word not in html
        assert "default-src 'none'" in html


def test_what_others_wrote_is_shown_as_text(tmp_path):
    rows = epochs(3, EVIL, **{EVIL: 1, f"val_{EVIL}": 2}) + epochs(2, f"{EVIL}2", seconds=1)
    layers = [{"phase": EVIL, "epoch": 1, "layer": EVIL, "dead": 0.5, "update_ratio_mean": 1e-3}]
    evil = {
        "state": f"stopped: {EVIL}",
        "mode": EVIL,
        "started": EVIL,
        "options": {"run": EVIL, EVIL: EVIL},
        "dataset": {"data": EVIL, "fingerprint": EVIL, "labels": [EVIL], EVIL: EVIL, "train": 1},
        "versions": {EVIL: EVIL},
        "figures": {"phase": EVIL, "epoch": 1, EVIL: 0.5, "results": {EVIL: {EVIL: {EVIL: 1}}}},
    }
    run = make_run(tmp_path / EVIL.replace("/", "_"), rows, layers, (), EVIL, **evil)
    html = page.page([run])
    assert "<script>alert" not in html
    assert Reader(html).scripts == 1
    assert Reader(html).text.count(EVIL) > 10
    for html in (page.page([run, run]), page.page([run, make_run(tmp_path / "b")])):
        assert "<script>alert" not in html
        assert Reader(html).scripts == 1


def test_values_that_are_no_numbers_are_named(tmp_path):
    rows = epochs(4, loss=lambda k: "nan" if k > 2 else 1, gradient_norm="inf")
    html = page.page([make_run(tmp_path / "a", rows, figures={"val_loss": float("nan")})])
    assert "not a number" in Reader(html).text
    assert not re.search(r'="[^"{]*\b(nan|inf)\b[^"]*"', html)


def test_one_epoch_makes_a_page(tmp_path):
    found = read(make_full_run(tmp_path / "a", count=1))
    assert "best epoch" in found.text
    assert "nan" not in found.text


@pytest.mark.slow
def test_a_long_run_with_many_layers_stays_small(tmp_path):
    run = make_full_run(tmp_path / "a", count=1000, num_layers=200)
    assert len(page.page([run])) < 2_000_000


def test_long_tables_are_folded(tmp_path):
    labels = {f"label {k}": {"precision": 0.5} for k in range(100)}
    run = make_run(tmp_path / "a", figures={"results": {"classes": labels}})
    assert page.page([run]).count("<details>") == 1


def test_several_runs_are_compared(tmp_path):
    found = read(make_full_run(tmp_path / "a"), make_run(tmp_path / "b", epochs()))
    assert found.headings == ["Runs", "Best measures", "Options", "Curves"]
    assert "2 runs compared" in found.text


def test_a_report_is_written_into_the_run_and_anew(tmp_path):
    run = make_run(tmp_path / "a", epochs(1))
    assert page.write(run) == tmp_path / "a/report.html"
    before = (tmp_path / "a/report.html").read_text(encoding="utf-8")
    assert before == page.page([run])
    make_run(tmp_path / "a", epochs(2))
    assert page.write(run).read_text(encoding="utf-8") != before


def test_a_damaged_history_is_the_users_to_mend(tmp_path):
    run = make_run(tmp_path / "a", epochs(1, loss="high"))
    with pytest.raises(UserError, match="loss is 'high'"):
        page.write(run)
    assert not (tmp_path / "a/report.html").exists()


def test_a_page_is_made_without_anything_heavy(tmp_path):
    make_full_run(tmp_path / "a")
    script = """
import sys
from dlapps import runs
from dlapps.report import page
page.write(runs.read("a"))
heavy = {"keras", "matplotlib", "numpy", "pandas", "PIL", "tensorflow"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
