import json
import socket
import threading

import numpy as np
import pytest

from dlapps.serve import server
from tests.serve.echo import lengths, served, sums
from tests.serve.running import running


@pytest.fixture(scope="module")
def client():
    with running([served(), served("other")], max_body=10_000) as client:
        yield client


def test_answers_in_rows_and_columns(client):
    assert client.predict({"instances": ["a", {"b64": "YmM="}]}) == (200, {"predictions": [1, 2]})
    assert client.predict({"inputs": {"text": ["a"]}}) == (200, {"outputs": [1]})
    body = {"signature_name": "sums", "instances": [{"x": [1, 2, 3], "times": 2}]}
    assert client.predict(body) == (200, {"predictions": [{"total": 12.0, "said": "12"}]})


def test_says_its_state_and_signatures(client):
    status, state, _ = client.ask("GET", "/v1/models/echo")
    assert status == 200
    assert state["model_version_status"][0]["state"] == "AVAILABLE"
    for path in ("/v1/models/echo/metadata", "/v1/models/echo/versions/1/metadata"):
        _, about, _ = client.ask("GET", path)
        signature = about["metadata"]["signature_def"]["signature_def"]["sums"]
        assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
        sides = [side["size"] for side in signature["inputs"]["x"]["tensor_shape"]["dim"]]
        assert sides == ["-1", "3"]
        assert signature["outputs"]["said"]["dtype"] == "DT_STRING"


PREDICT = "/v1/models/echo:predict"
HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n".encode()


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1/models/ech", 404, "no model 'ech', only echo, other"),
        ("/v1/models/echo/versions/2", 404, "no version 2, only 1"),
        ("/v1/models/echo/versions/2/metadata", 404, "no version 2, only 1"),
        ("/v1/models/x/metadata", 404, "no model 'x'"),
        ("/v1/model/echo", 404, "Not Found"),
        (PREDICT, 404, "no model 'echo:predict'"),
    ],
)
def test_what_is_not_there_is_named(client, path, status, message):
    check(client.ask("GET", path), status, message)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        pytest.param("/v1/models/x:predict", {}, 404, "no model 'x'", id="model"),
        pytest.param("/v1/models/echo/versions/9:predict", {}, 404, "no version 9", id="version"),
        pytest.param("/v1/models/echo", {}, 405, "Method Not Allowed", id="method"),
        pytest.param(PREDICT, {"instances": []}, 400, "at least one", id="empty"),
        pytest.param(PREDICT, b'{"instances": [', 400, "not JSON", id="cut"),
        pytest.param(PREDICT, b"", 400, "not JSON", id="nothing"),
        pytest.param(PREDICT, {"signature_name": "b"}, 400, "no signature 'b', only", id="name"),
        pytest.param(PREDICT, {"signature_name": [1]}, 400, "no signature", id="name-of-a-kind"),
        pytest.param(PREDICT, {"inputs": ["a" * 9990]}, 413, "longer than 10000", id="long"),
    ],
)
def test_a_wrong_request_gets_a_line_and_the_right_status(client, path, body, status, message):
    check(client.ask("POST", path, body), status, message)


def check(answer, status, message):
    assert answer[0] == status
    assert answer[1].keys() == {"error"}
    assert message in answer[1]["error"]
    assert "\n" not in answer[1]["error"]


def test_a_body_without_a_length_is_counted_as_it_comes(client):
    parts = iter([b'{"inputs": ["'] + [b"a" * 1000] * 50)
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as place:
        head = (
            "POST /v1/models/echo:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        place.sendall(head.encode())
        for part in parts:
            try:
                place.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            except OSError:
                break
        assert place.recv(200).startswith(b"HTTP/1.1 413")


def test_tells_how_it_is(client):
    assert client.ask("GET", "/healthz")[:2] == (200, {"status": "ok"})
    client.predict({"instances": ["a"]})
    client.predict({"instances": ["a"]}, name="made-up")
    status, text, _ = client.ask("GET", "/metrics")
    assert status == 200
    assert 'dlapps_requests_total{model="echo",status="200"}' in text
    assert 'dlapps_requests_total{model="unknown",status="404"}' in text
    assert "made-up" not in text
    assert 'dlapps_batch_rows_count{model="echo"}' in text


def test_its_pages_need_nothing_from_elsewhere(client):
    status, text, _ = client.ask("GET", "/docs")
    assert status == 200
    assert "POST /v1/models/{name}:predict" in text
    assert 'src="' not in text
    assert "https://" not in text
    _, about, _ = client.ask("GET", "/openapi.json")
    assert "/v1/models/{name}:predict" in about["paths"]


def test_a_token_is_asked_for():
    key = "0123456789abcdef"
    with running([served()], key=key) as client:
        body = {"instances": ["a"]}
        assert client.predict(body)[0] == 401
        for wrong in (f"Bearer {key}0", "Bearer", f"Basic {key}", f"Bearer {key[:-1]}", "Bearer ü"):
            status, found = client.predict(body, Authorization=wrong.encode())
            assert (status, found.keys()) == (401, {"error"})
        assert client.predict(body, Authorization=f"Bearer {key}")[0] == 200
        assert client.ask("GET", "/metrics")[0] == 401
        assert client.ask("GET", "/healthz")[0] == 200


def test_more_than_may_wait_is_told_to_come_again():
    go, began = threading.Event(), threading.Event()

    def call(inputs):
        began.set()
        assert go.wait(20)
        return {"length": np.ones(len(inputs["text"]))}

    with running([served(serving_default=lengths(call))], max_waiting=2) as client:
        codes = []

        def ask():
            codes.append(client.predict({"instances": ["a"]})[0])

        threads = [threading.Thread(target=ask)]
        threads[0].start()
        assert began.wait(10)
        threads += [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads[1:]:
            thread.start()
        while len(codes) < 6:
            threading.Event().wait(0.01)
        assert codes == [429] * 6
        status, found, headers = client.ask("POST", "/v1/models/echo:predict", {"instances": ["a"]})
        assert (status, headers["Retry-After"]) == (429, "1")
        assert "try again" in found["error"]
        go.set()
        for thread in threads:
            thread.join()
        assert codes[6:] == [200] * 3


def test_no_more_is_held_than_the_memory_is_for():
    with running([served()], max_held=1000) as client:
        body = {"instances": ["a" * 2000]}
        check(client.ask("POST", PREDICT, body), 429, "try again soon")
        for _ in range(5):  # What was held has been let go.
            assert client.predict({"instances": ["a" * 800]}) == (200, {"predictions": [800]})


def test_a_fault_of_ours_is_no_fault_of_the_server():
    def call(inputs):
        raise ZeroDivisionError("secret")

    with running([served(sums=sums(call), serving_default=lengths())]) as client:
        body = {"signature_name": "sums", "instances": [{"x": [1, 2, 3], "times": 1}]}
        status, found = client.predict(body)
        assert (status, found) == (500, {"error": "The server failed: ZeroDivisionError."})
        assert client.predict({"instances": ["a"]})[0] == 200


def test_a_slow_body_is_given_up():
    with running([served()], body_seconds=0.2) as client:
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as place:
            place.sendall(
                b"POST /v1/models/echo:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"
            )
            assert place.recv(200).startswith(b"HTTP/1.1 408")
        assert client.predict({"instances": ["a"]})[0] == 200


def test_many_clients_that_stop_half_way_are_hung_up_on(monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    with running([served()], body_seconds=0.5) as client:
        half = b"POST /v1/models/echo:predict HTTP/1.1\r\nHost: x\r\n"
        places = [
            socket.create_connection(("127.0.0.1", client.port), timeout=20) for _ in range(200)
        ]
        for number, place in enumerate(places):
            place.sendall(half if number % 2 else half + b"Content-Length: 50\r\n\r\n{")
        assert client.predict({"instances": ["a"]})[0] == 200
        for place in places:
            with place:
                found = place.recv(200)
                assert not found or found.startswith(b"HTTP/1.1 408")
        assert client.predict(json.dumps({"instances": ["a"]}).encode())[0] == 200
