"""Makes the environment in .venv with nothing but Python, and runs a command in it.

python3 bootstrap.py dlapps demo    shows the suite at work
python3 bootstrap.py test           runs the linters and every test
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
CHECKS = [
    ["ruff", "format", "--check"],
    ["ruff", "check"],
    ["mypy"],
]
# Two at once, a file in one process: much of a test is Python compiling a graph, on one core.
PYTEST = ["pytest", "-q", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
TASKS = {
    "check": [*CHECKS, [*PYTEST, "-m", "not slow"]],
    "test": [*CHECKS, PYTEST],
}


def main(words: list[str]) -> int:
    """Installs what is missing, then runs `check`, `test` or a command of the environment."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return _say(f"Python 3.11 to 3.13 is needed, this is {sys.version.split()[0]}.")
    if not words:
        return _say(__doc__ or "")
    try:
        _install()
    except subprocess.CalledProcessError as error:
        return _say(f"The installation stopped with status {error.returncode}; see above.")
    for command in TASKS.get(words[0], [words]):
        status = subprocess.call([str(BIN / command[0]), *command[1:]], cwd=_where(words))
        if status:
            return status
    return 0


def _where(words: list[str]) -> Path:
    return ROOT if words[0] in TASKS else Path.cwd()


def _install() -> None:
    """Installs the pinned packages, unless this very list is installed already."""
    wanted = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    mark = VENV / "installed"
    digest = hashlib.sha256(wanted + sys.version.encode()).hexdigest()
    if mark.is_file() and mark.read_text() == digest:
        return
    _say("Making .venv and installing TensorFlow and the rest; this takes a few minutes once.")
    venv.create(VENV, with_pip=True)
    pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.check_call(
        [*pip, "--constraint", "constraints.txt", "--editable", ".[onnx,test,ui]"], cwd=ROOT
    )
    mark.write_text(digest)


def _say(text: str) -> int:
    sys.stderr.write(text + "\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
