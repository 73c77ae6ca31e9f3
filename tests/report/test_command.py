import pytest
from click.testing import CliRunner

from dlapps.cli import cli
from tests.report.made import epochs, make_full_run, make_run


def report(*words):
    """Runs the command; an exception that is not caught by it fails the test."""
    return CliRunner().invoke(cli, ["report", *words], catch_exceptions=False)


def test_the_report_of_a_run_is_written_into_it(tmp_path):
    make_full_run(tmp_path / "a")
    done = report("a")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "a/report.html\n", "")
    assert "<h1>a\n" in (tmp_path / "a/report.html").read_text(encoding="utf-8")


def test_a_run_that_has_no_model_yet_has_a_report(tmp_path):
    make_run(tmp_path / "a", state="running")
    assert report("a").exit_code == 0


def test_several_runs_make_one_page_here(tmp_path):
    for name in ("a", "b"):
        make_run(tmp_path / name, epochs())
    done = report("a", "b")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "report.html\n", "")
    assert "2 runs compared" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "a/report.html").exists()


@pytest.mark.parametrize("names", [["a"], ["a", "b"]], ids=["one", "several"])
def test_the_page_can_be_put_elsewhere(tmp_path, names):
    for name in names:
        make_run(tmp_path / name, epochs())
    assert report(*names, "-o", "pages/x.html").stdout == "pages/x.html\n"
    assert (tmp_path / "pages/x.html").is_file()
    assert not (tmp_path / "a/report.html").exists()


def test_a_report_replaces_a_report_and_nothing_else(tmp_path):
    make_run(tmp_path / "a", epochs())
    make_run(tmp_path / "b", epochs())
    assert report("a", "b").exit_code == 0
    assert report("a", "b").exit_code == 0
    assert report("a", "-o", "report.html").exit_code == 0
    (tmp_path / "report.html").write_text("<p>My thesis.</p>")
    for words in (("a", "b"), ("a", "-o", "report.html")):
        done = report(*words)
        assert done.exit_code == 1
        assert done.stderr == (
            "Error: report.html is there already, and is no report. Name another file with -o.\n"
        )
    assert (tmp_path / "report.html").read_text() == "<p>My thesis.</p>"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        pytest.param([], 2, "Missing argument 'RUN...'", id="none"),
        pytest.param(["b"], 1, "b does not exist.", id="missing"),
        pytest.param(["flowers"], 1, "Did you mean 'flowers-1'?", id="near"),
        pytest.param(["empty"], 1, "empty is not a run: it holds no run.json.", id="no-run"),
        pytest.param(["flowers-1", "empty"], 1, "empty is not a run", id="second-no-run"),
        pytest.param(
            ["flowers-1", "./flowers-1"],
            1,
            "./flowers-1 is the same run as flowers-1. Name each run once.",
            id="twice",
        ),
        pytest.param(["flowers-1", "-o", "empty"], 2, "'empty' is a directory", id="folder"),
        pytest.param(
            ["flowers-1", "-o", "flowers-1/run.json/x.html"], 1, "cannot be written", id="no-place"
        ),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(tmp_path, words, status, message):
    make_run(tmp_path / "flowers-1", epochs())
    (tmp_path / "empty").mkdir()
    done = report(*words)
    assert done.exit_code == status
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not [*tmp_path.rglob("*.html")]


def test_a_damaged_file_of_a_run_is_one_line(tmp_path):
    make_run(tmp_path / "a", epochs(2, loss="low"))
    done = report("a")
    assert done.exit_code == 1
    assert done.stderr == ("Error: a/history.csv, row 1: loss is 'low', which is not a number.\n")
