import os
import socket
from pathlib import Path

import keras
import pytest

from dlapps.data.features import cache_folder


def test_no_test_reaches_another_machine():
    with (
        socket.socket() as end,
        pytest.raises(pytest.fail.Exception, match=r"reached for .*192\.0\.2\.1"),
    ):
        end.connect(("192.0.2.1", 80))  # set aside for documentation, RFC 5737


def test_this_machine_can_still_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as end:
        end.connect(server.getsockname())


def test_every_test_begins_with_the_same_chances():
    drawn = keras.random.normal((3,)).numpy().tolist()
    keras.utils.set_random_seed(0)
    assert keras.random.normal((3,)).numpy().tolist() == drawn


def test_every_test_has_folders_of_its_own(tmp_path):
    assert Path.cwd() == tmp_path
    assert not [*tmp_path.iterdir()]
    assert Path(os.environ["HOME"]) == Path.home()
    assert not [*Path.home().iterdir()]
    assert cache_folder().parent == Path.home()
