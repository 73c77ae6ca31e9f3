"""Gives every test a folder, a home and a cache of its own, and keeps it off the network."""

import os
import shutil
import socket

import keras
import pytest
from filelock import FileLock

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Files with slow tests come first, lest one process ends long after the other."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def own_places(tmp_path, tmp_path_factory, monkeypatch):
    """Nothing of the user's is read, nothing is left behind."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DLAPPS_CACHE", str(home / "dlapps-cache"))
    for name in ("XDG_CACHE_HOME", "KERAS_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Returns a function that fills a folder once for all processes of the tests.

    It takes a name and what fills the folder, and returns a copy that is this process' own.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def folder(name, fill):
        place, done = root / f"made-{name}", root / f"made-{name}.done"
        with FileLock(f"{place}.lock"):
            if not done.exists():
                shutil.rmtree(place, ignore_errors=True)  # Of one that failed.
                place.mkdir()
                fill(place)
                done.touch()
        return shutil.copytree(place, tmp_path_factory.mktemp(name) / name)

    return folder


@pytest.fixture(autouse=True)
def same_chances():
    """What a test draws depends on nothing that ran before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that reaches for another machine fails, whatever the code makes of the error."""

    def guarded(function):
        def only_here(self, address):
            if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
                pytest.fail(f"A test reached for {address}.")
            return function(self, address)

        return only_here

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
