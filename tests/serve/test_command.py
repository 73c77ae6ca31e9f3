import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from dlapps import saving
from dlapps.cli import cli
from dlapps.errors import UserError
from dlapps.serve import command, predictor, server
from tests.apps.generate.tiny import cycling
from tests.serve.running import Client


def dlapps(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        pytest.param([], 2, "Missing argument 'RUN...'", id="no-run"),
        pytest.param(["imagnet"], 1, "Did you mean 'imagenet'?", id="near"),
        pytest.param(["imagenet", "--port", "70000"], 2, "70000", id="port"),
        pytest.param(["imagenet", "--api-key-file", "no"], 1, "no cannot be read", id="no-key"),
        pytest.param(["imagenet", "--api-key-file", "short"], 1, "at least 16", id="short-key"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, words, status, message):
    (tmp_path / "short").write_text("abc\n")
    done = dlapps("serve", *words)
    assert done.exit_code == status
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    done = dlapps("serve", "imagenet")
    assert done.exit_code == 1
    assert "pip install 'dlapps[serve]'" in done.stderr


def test_without_the_extra_for_the_page_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = dlapps("serve", "imagenet", "--ui")
    assert done.exit_code == 1
    assert "The package gradio is missing" in done.stderr
    assert "pip install 'dlapps[ui]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_page_gradio_is_not_imported():
    script = """
import sys
from dlapps.serve import api, command, models, server
assert "gradio" not in sys.modules
from dlapps.serve import ui
assert "gradio" in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.8.0.1", True),
        ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.org", False),
    ],
)  # fmt: skip
def test_knows_what_is_reached_from_elsewhere(host, is_here):
    assert command._is_loopback(host) is is_here


def test_a_port_in_use_is_named():
    with server.listening("127.0.0.1", 0) as place:
        port = place.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port} cannot be listened on"):
            server.listening("127.0.0.1", port)


def test_answers_do_not_wait_for_their_heads_to_be_acknowledged():
    with (
        server.listening("127.0.0.1", 0) as place,
        socket.create_connection(place.getsockname()),
        place.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            "Graph execution error:\n\nDetected at node map/DecodePng defined at (most recent):\n"
            '  File "a.py", line 1\n\nInvalid PNG data, size 3\n\t [[{{node DecodePng}}]] [Op:x]',
            "Invalid PNG data, size 3",
        ),
        (
            "{{function_node __inference_x_1}} assertion failed: [length must not be negative.]\n"
            "\t [[{{node Assert}}]]",
            "length must not be negative.",
        ),
        ("", "The input cannot be computed with."),
    ],
)
def test_of_what_the_graph_says_one_line_is_passed_on(message, line):
    assert predictor._of_the_graph(ValueError(message)) == line


def test_bytes_in_a_message_of_the_graph_are_not_passed_on():
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    assert predictor._of_the_graph(error) == "The input cannot be computed with."


@pytest.mark.slow
def test_at_sigterm_what_has_begun_is_ended(tmp_path):
    saving.save(cycling("abc\n"), tmp_path / "letters.keras")
    (tmp_path / "key").write_text("0123456789abcdef\n")
    words = ["serve", "letters.keras", "--port", "0", "--api-key-file", "key"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-m", "dlapps", *words], stderr=subprocess.PIPE, text=True,
        cwd=tmp_path, env=environment,
    ) as process:  # fmt: skip
        said = process.stderr.readline()
        port = int(re.search(r"Serving letters at http://127.0.0.1:(\d+)/", said)[1])
        row = {"prompts": "a", "length": 2000, "temperature": 1.0, "seed": 1}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": "Bearer 0123456789abcdef"}
        body = json.dumps({"instances": [row]})
        connection.request("POST", "/v1/models/letters:predict", body, headers)
        Client(port).ask("GET", "/healthz")  # When it is answered, the one before has begun.
        process.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        connection.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    assert answer.status == 200, found
    assert len(found["predictions"][0]["texts"]) == 2000
