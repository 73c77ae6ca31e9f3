"""A server that runs in a thread of the test."""

import contextlib
import http.client
import json
import threading
import time

import uvicorn

from dlapps.serve import server
from dlapps.serve.api import application
from dlapps.serve.predictor import Settings


class Client:
    """Asks a server on this machine."""

    def __init__(self, port):
        self.port = port

    def ask(self, method, path, body=None, headers=None):
        """Returns the status, what the JSON of the answer says, and its headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            text = answer.read()
            is_json = answer.headers.get("content-type", "").startswith("application/json")
            return answer.status, json.loads(text) if is_json else text.decode(), answer.headers
        finally:
            connection.close()

    def predict(self, body, name="echo", **headers):
        return self.ask("POST", f"/v1/models/{name}:predict", body, headers)[:2]


@contextlib.contextmanager
def running(models, extend=None, **settings):
    """Yields a client of a server for some models."""
    app = application({model.name: model for model in models}, Settings(**settings), extend)
    config = uvicorn.Config(app, http=server.Protocol, log_config=None, ws="none")
    running_server = uvicorn.Server(config)
    with server.listening("127.0.0.1", 0) as place:
        thread = threading.Thread(target=running_server.run, kwargs={"sockets": [place]})
        thread.start()
        try:
            while not running_server.started:
                time.sleep(0.01)
            yield Client(place.getsockname()[1])
        finally:
            running_server.should_exit = True
            thread.join()
