import base64
import http.client
import json
import re
import secrets
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest

from dlapps.serve import ui
from dlapps.serving import Limits
from tests.serve.echo import served
from tests.serve.pages import KEY, colours, letters, picture
from tests.serve.running import running


@pytest.fixture(scope="module")
def client():
    models = [colours(), letters(), served()]
    limits = Limits(pixels=10_000, length=1000)
    with running(models, ui.add, max_body=1_000_000, limits=limits) as client:
        client.config = client.ask("GET", "/ui/config")[1]
        yield client


def event(client, model):
    """Returns the number of what is called when a tab's button or picture is used."""
    wanted = {"colours": "change", "letters": "click"}[model]
    for number, each in enumerate(client.config["dependencies"]):
        if each["targets"][0][1] == wanted and each["outputs"]:
            return number
    raise AssertionError(model)


def told(client, model, *data, headers=None):
    """Does what the browser does; returns all that the server shows, in order."""
    session = secrets.token_hex(4)
    body = {"data": data, "fn_index": event(client, model), "session_hash": session}
    headers = {"Content-Type": "application/json", **(headers or {})}
    status, found, _ = client.ask("POST", "/ui/gradio_api/queue/join", body, headers)
    assert status == 200, found
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    connection.request("GET", f"/ui/gradio_api/queue/data?session_hash={session}", headers=headers)
    messages = []
    for line in connection.getresponse():
        if line.startswith(b"data:"):
            messages.append(json.loads(line[5:]))
            if messages[-1]["msg"] in ("process_completed", "close_stream"):
                break
    connection.close()
    return [each for each in messages if each["msg"].startswith("process_")]


def uploaded(client, file, name="a.png", headers=None):
    limit = "mark"
    head = f'--{limit}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + file + f"\r\n--{limit}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={limit}", **(headers or {})}
    return client.ask("POST", "/ui/gradio_api/upload", body, headers)[:2]


def look(client, file):
    """Returns the line of what went wrong, and the classes."""
    status, (path,) = uploaded(client, file)
    assert status == 200
    data = {"path": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
    output = told(client, "colours", data)[-1]["output"]["data"]
    return text(output[0]["value"]), output[1]


def text(shown):
    return re.sub("<.*?>", "", shown)


def written(client, prompt="abc", length=20, temperature=0.5, seed="1"):
    return told(client, "letters", prompt, length, temperature, seed)


def test_shows_the_classes_of_a_picture(client):
    line, classes = look(client, picture("red"))
    assert line == ""
    assert classes["label"] == "red <b>"
    assert [each["confidence"] for each in classes["confidences"]] == [1, 0]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (b"no picture", "The file is not a picture in a known format."),
        (picture("red", (400, 300)), "The file has 400 x 300 pixels; at most 0.01 million"),
        (picture("red")[:60], "The server failed: OSError."),
    ],
    ids=["text", "bomb", "cut"],
)
def test_what_is_wrong_with_a_picture_is_one_line(client, file, line):
    found, classes = look(client, file)
    assert found.startswith(line)
    assert not classes


def test_a_text_comes_as_it_is_written(client, monkeypatch):
    monkeypatch.setattr("dlapps.serve.tabs.BETWEEN", 0)
    messages = written(client, length=14)
    assert len([each for each in messages if each["msg"] == "process_generating"]) > 5
    first = messages[1]["output"]["data"][1]
    assert first.startswith("abc")
    assert len(first) < 10
    assert messages[-1]["output"]["data"][1] == "abcdefg\nabcdefg\na"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"prompt": ""}, "The prompt is empty. Type a text to go on from."),
        ({"prompt": "a<Zé"}, "The prompt holds '&lt;' 'Z' 'é', which the model does not know."),
        ({"prompt": "a\ud800"}, "The prompt holds '\\ud800', which the model does not know."),
        ({"prompt": "a" * 10_001}, "The prompt has 10001 characters; at most 10000 are read."),
        ({"seed": "-1"}, "The seed must be a whole number"),
        ({"seed": "1e3"}, "The seed must be a whole number"),
    ],
)
def test_what_is_wrong_with_a_prompt_is_one_line(client, given, line):
    shown, text_ = written(client, **{k: v.replace("'", "") for k, v in given.items()})[-1][
        "output"
    ]["data"]
    assert text(shown["value"]).replace("&#x27;", "'").startswith(line)
    assert text_ == ""


@pytest.mark.parametrize("given", [{"length": 1001}, {"length": -1}, {"temperature": 0}])
def test_more_than_the_page_offers_is_refused(client, given):
    message = written(client, **given)[-1]
    assert not message["success"] or "above 0" in str(message) or "at most" in str(message)
    assert "abcdefg" not in str(message["output"])


def test_who_asks_by_chance_gets_another_text_each_time(client):
    data = {written(client, temperature=2.0, length=300, seed="")[-1]["msg"] for _ in range(2)}
    assert data == {"process_completed"}


def test_a_model_without_a_page_says_so(client):
    assert "This model is none of an app of dlapps" in json.dumps(client.config)


def test_the_first_page_leads_there(client):
    assert 'href="ui/"' in client.ask("GET", "/")[1]
    with running([served()]) as other:
        assert "ui/" not in other.ask("GET", "/")[1]
        assert other.ask("GET", "/ui/")[0] == 404


def test_the_page_forbids_what_is_elsewhere(client):
    status, page, headers = client.ask("GET", "/ui/")
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//[^"' >]*""", page)
    assert '"analytics_enabled":false' in page.replace(" ", "")
    _, css, headers = client.ask("GET", "/ui/theme.css")
    assert "default-src 'self'" in headers["content-security-policy"]
    assert not re.findall(r"@import|url\([\"']?(?!data:|[\"'])", css)


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=../../../../../../etc/passwd",
        f"gradio_api/file={Path(__file__)}",
        f"gradio_api/file={quote(str(Path(__file__)))}",
        "gradio_api/file=https://example.org/a.png",
        "gradio_api/file/etc/passwd",
        "gradio_api/proxy=https://example.org/a.png",
        "gradio_api/openapi.json",
        "gradio_api/runs",
        "gradio_api/queue/status",
        "gradio_api/deep_link",
        "monitoring",
        "static/../../../../etc/passwd",
    ],
)
def test_no_other_file_and_no_other_machine_is_reached(client, path):
    status, found, _ = client.ask("GET", f"/ui/{path}")
    assert status in (403, 404), found
    assert "root:" not in str(found)


@pytest.mark.parametrize(
    "path", ["{}/a.png", "a.png", "/etc/hostname", "https://example.org/a.png", "data:,x"]
)
def test_a_picture_must_have_been_uploaded(client, path, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_get", asked.append)
    (tmp_path / "a.png").write_bytes(picture("red"))  # The folder that the server runs in.
    path = path.format(tmp_path)
    data = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
    assert not told(client, "colours", data)[-1]["success"]
    assert not written(client, prompt=data)[-1]["success"]
    assert asked == []


def test_what_was_uploaded_is_seen_again(client):
    _, (path,) = uploaded(client, picture("blue"))
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    connection.request("GET", f"/ui/gradio_api/file={quote(path)}")
    assert connection.getresponse().read() == picture("blue")
    connection.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_another_site_may_not_ask(client, headers, status):
    assert client.ask("GET", "/ui/config", None, headers)[0] == status


def test_a_body_is_not_longer_than_the_server_takes(client):
    assert uploaded(client, b"a" * 1_000_001)[0] == 413
    headers = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
    assert client.ask("POST", "/ui/gradio_api/queue/join", b"", headers)[0] == 411


def test_a_browser_shows_the_token_as_a_password():
    with running([colours()], ui.add, key=KEY) as client:
        for path in ("/ui/", "/ui", "/ui/config", "/ui/gradio_api/queue/data?session_hash=a"):
            status, _, headers = client.ask("GET", path)
            assert status == 401
            assert headers["WWW-Authenticate"].startswith("Basic ")
        assert uploaded(client, picture("red"))[0] == 401
        for wrong in (f"a:{KEY}0", "a:", KEY, f"{KEY}:"):
            assert client.ask("GET", "/ui/", None, basic(wrong))[0] == 401
        assert client.ask("GET", "/ui/", None, {"Authorization": "Basic ==="})[0] == 401
        for name in ("", "a", "ü"):
            assert client.ask("GET", "/ui/", None, basic(f"{name}:{KEY}"))[0] == 200
        assert client.ask("GET", "/ui/", None, {"Authorization": f"Bearer {KEY}"})[0] == 200
        # What a browser sends by itself is not taken where any site could make it ask.
        status, _, headers = client.ask("GET", "/v1/models/colours", None, basic(f"a:{KEY}"))
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert client.ask("GET", "/uix", None, basic(f"a:{KEY}"))[0] == 401
        client.config = client.ask("GET", "/ui/config", None, basic(f"a:{KEY}"))[1]


def basic(pair):
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with running([colours()], ui.add) as client:
        _, (path,) = uploaded(client, picture("red"))
        assert Path(path).is_relative_to(tmp_path)
        assert Path(path).is_file()
    assert list(tmp_path.iterdir()) == []
