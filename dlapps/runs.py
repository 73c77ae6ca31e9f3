"""The run folder: all that passes from training to everything after it."""

import contextlib
import itertools
import json
import platform
import shutil
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock

from dlapps import files
from dlapps.errors import UserError, nearest, reason
from dlapps.weights import builtin

ROOT = Path("runs")
MODEL = "model.keras"
RECORD = "run.json"
CHECKPOINT = "checkpoint/state.npz"
LOCK = ".lock"
# Bytes; the longest vocabularies take a tenth of it.
LONGEST_CONFIG = 1 << 24
# The packages with models of an app, beside its own.
ELSEWHERE = {"darknet": "detect"}
PACKAGES = ("dlapps", "tensorflow", "keras", "keras-cv", "numpy", "pillow")


@dataclass(frozen=True)
class Run:
    """A run folder and what its `run.json` says.

    Args:
        folder: Where it lies.
        record: App, options, dataset and its fingerprint, versions, seed, state, figures.
        state: The full state to go on from, if the run is resumed.
    """

    folder: Path
    record: dict[str, Any]
    state: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def model(self) -> Path:
        """The best model, complete."""
        return self.folder / MODEL

    @property
    def checkpoint(self) -> Path:
        """The full state to go on from."""
        return self.folder / CHECKPOINT

    def is_past(self, phase: str) -> bool:
        """Returns whether an earlier session has finished a phase and begun a later one."""
        elsewhere = self.state is not None and self.state["note"]["phase"] != phase
        return elsewhere and phase in self.phases

    @property
    def phases(self) -> dict[str, dict[str, Any]]:
        """The best measures of every phase that has ended."""
        return dict(self.record.get("phases", {}))

    def update(self, **values: Any) -> None:
        """Changes the record and writes it anew, whole or not at all."""
        self.record.update(values)
        text = json.dumps(self.record, indent=2, ensure_ascii=False) + "\n"
        files.write(self.folder / RECORD, text)


def create(app: str, name: str, folder: str | None, **record: Any) -> Run:
    """Makes a folder for a new run, never over an older one.

    Args:
        app: The app that trains.
        name: What the run is called, after its dataset.
        folder: Where to put it, or None for the next free `runs/<app>/<name>-<N>`.
        record: What `run.json` says beside the state and the versions.

    Raises:
        UserError: If the folder is in use or cannot be written to.
    """
    place = Path(folder) if folder else None
    if place is not None:
        if place.is_file() or (place.is_dir() and any(place.iterdir())):
            raise UserError(f"--run {folder} is in use. Name a new folder.")
    else:
        try:
            place = _next_free(ROOT / app, name)
        except OSError as error:
            raise UserError(f"{ROOT / app} cannot be written to: {reason(error)}.") from error
    files.writable_folder(place)
    versions = {"python": platform.python_version()}
    versions.update({package: metadata.version(package) for package in PACKAGES})
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    run = Run(place, {"app": app, "state": "starting", "started": started, **record})
    run.update(versions=versions)
    return run


class Stopped(UserError):  # noqa: N818  no error: the user asked for it
    """Says that the user stopped a training, and how to go on; ends with exit status 130.

    Args:
        how: Such as "Ctrl-C".
        run: What was stopped.
    """

    exit_code = 130  # 128 + SIGINT, as shells count it
    prefix = ""

    def __init__(self, how: str, run: Run):
        self.how = how
        saved = f"The state is saved in {run.folder}. " if run.checkpoint.is_file() else ""
        then = f"{saved}Go on: dlapps {run.record['app']} --resume {run.folder}"
        if not run.folder.exists():
            then = "There was no model yet, so nothing is left."
        super().__init__(f"Stopped by {how}. {then}")


@contextlib.contextmanager
def held(run: Run) -> Iterator[None]:
    """Keeps other processes from training a run; a killed one lets go by itself.

    Raises:
        UserError: If another process trains it.
    """
    lock = filelock.FileLock(run.folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise UserError(f"{run.folder} is being trained by another process.") from error
    with lock:
        for left in run.folder.rglob(files.BESIDE):  # by a process that was killed
            left.unlink(missing_ok=True)
        yield


@contextlib.contextmanager
def recorded(run: Run) -> Iterator[None]:
    """Writes down how a run ends.

    A new run that never got as far as a model or a checkpoint leaves nothing.

    Raises:
        Stopped: When the user stops it, to say how to go on.
    """
    try:
        run.update(state="running")
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | Stopped)
        how = getattr(error, "how", None) or str(error) or "Ctrl-C"
        why = f"by {how}" if stopped else f"{type(error).__name__}: {error}"
        if run.model.is_file() or run.checkpoint.is_file():
            run.update(state=f"stopped: {why}")
        else:
            shutil.rmtree(run.folder, ignore_errors=True)
        if stopped:
            raise Stopped(how, run) from error
        raise


def _next_free(parent: Path, name: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        place = parent / f"{name}-{number}"
        try:
            place.mkdir()
        except FileExistsError:
            continue
        return place
    raise AssertionError  # count never ends


def load(path: str | Path) -> Run:
    """Reads a run folder that holds a model.

    Raises:
        UserError: If it is none.
    """
    run = read(path)
    if not run.model.is_file():
        state = run.record.get("state", "unknown")
        raise UserError(
            f"{path} holds no {MODEL} yet; its state is '{state}'. "
            f"Go on with it: dlapps {run.record['app']} --resume {path}"
        )
    return run


def read(path: str | Path) -> Run:
    """Reads the record of a run, whether it has a model yet or not.

    Raises:
        UserError: If it is none.
    """
    folder = Path(path)
    if not folder.exists():
        raise UserError(f"{path} does not exist.{_nearest_run(folder)}")
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"{path} is not a run: it holds no {RECORD}. Give the folder that a training wrote."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{folder / RECORD} cannot be read: {reason(error)}.") from error
    if not isinstance(record, dict) or record.get("app") not in _apps():
        raise UserError(f"{folder / RECORD} names no app, so it is not the record of a run.")
    return Run(folder, record)


def _apps() -> list[str]:
    return [path.parent.name for path in Path(__file__).parent.glob("apps/*/__init__.py")]


def _nearest_run(folder: Path) -> str:
    parent = folder.parent
    return nearest(folder.name, [p.name for p in parent.iterdir()] if parent.is_dir() else [])


def app_of(name: str) -> str:
    """Returns the app that a run folder, a `.keras` file or a built-in model belongs to.

    Raises:
        UserError: If it is none of these.
    """
    path = Path(name)
    if path.suffix == ".keras" and path.is_file():
        return _app_of_file(path)
    built_in = {model.name: model.app for model in builtin.MODELS if model.app != "backbone"}
    if name in built_in and not (path / RECORD).is_file():
        return built_in[name]  # Also where a dataset beside is called so, such as coco/.
    if not path.exists() and path.parent == Path() and (hint := nearest(name, built_in)):
        raise UserError(f"There is no run or model '{name}'.{hint}")
    return str(load(path).record["app"])


def _app_of_file(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
            app = app_of_module(json.loads(file.read(LONGEST_CONFIG))["module"])
    except Exception as error:  # Damaged in one of the many ways that a packed file can be.
        raise UserError(f"{path} is not a model that dlapps saved.") from error
    if app is None:
        raise UserError(f"{path} is not a model that dlapps saved.")
    return app


def app_of_module(module: str) -> str | None:
    """Returns the app that a model belongs to, None if it is not one of ours.

    Args:
        module: Where its class stands.
    """
    package, place, name, *_ = [*module.split("."), "", ""]
    if package != "dlapps":
        return None
    return (name or None) if place == "apps" else ELSEWHERE.get(place)
