"""A headless Chromium that is told what to do over a pipe, by the DevTools protocol."""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import time

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60


def installed():
    """Returns the path of a browser; where there is none, the test is skipped."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"No browser is installed: none of {', '.join(BROWSERS)}.")
    return found


class Page:
    """A page in a browser.

    Args:
        send: File descriptor of what the browser reads.
        receive: Of what it writes.
    """

    def __init__(self, send, receive):
        self.send, self.receive = send, receive
        self.numbers = itertools.count(1)
        self.waiting = b""
        self.session = None
        self.requests = []  # The addresses of all, in order.
        self.faults = []  # What the console was told, and scripts that ended with an error.

    def ask(self, method, **parameters):
        number = self._say(method, parameters)
        while True:
            found = self._next(SECONDS)
            if found.get("id") == number:
                assert "error" not in found, found["error"]
                return found["result"]

    def _say(self, method, parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.send, json.dumps(message).encode() + b"\0")
        return number

    def _next(self, seconds):
        end = time.monotonic() + seconds
        while b"\0" not in self.waiting:
            ready = select.select([self.receive], [], [], max(end - time.monotonic(), 0))[0]
            assert ready, "The browser does not answer."
            self.waiting += os.read(self.receive, 1 << 20)
        text, _, self.waiting = self.waiting.partition(b"\0")
        found = json.loads(text)
        told = found.get("params", {})
        if found.get("method") == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif found.get("method") == "Fetch.requestPaused":
            self._say("Fetch.continueRequest", {"requestId": told["requestId"]})
        elif found.get("method") == "Fetch.authRequired":
            answer = {"response": "ProvideCredentials", **self.password}
            told = {"requestId": told["requestId"], "authChallengeResponse": answer}
            self._say("Fetch.continueWithAuth", told)
        elif found.get("method") == "Runtime.exceptionThrown":
            self.faults.append(str(told["exceptionDetails"]))
        elif found.get("method") == "Log.entryAdded":
            self.faults.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        return found

    def start(self):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in ("Page", "Network", "Runtime", "DOM", "Log"):
            self.ask(f"{part}.enable")

    def open(self, address):
        self.ask("Page.navigate", url=address)

    def know(self, username, password):
        """Types this when a password is asked for."""
        self.password = {"username": username, "password": password}
        self.ask("Fetch.enable", handleAuthRequests=True)

    def look(self, width=1200, height=900, dark=False):
        """Sets the window and the colours that the reader wants."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def tell(self, expression):
        """Returns what a script says."""
        found = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression, seconds=SECONDS):
        """Returns what a script says as soon as it is true."""
        end = time.monotonic() + seconds
        while not (found := self.tell(expression)):
            shown = self.tell("document.body?.innerText")
            assert time.monotonic() < end, f"{expression}: {shown} {self.faults}"
            time.sleep(0.05)
        return found

    def give(self, selector, path):
        """Puts a file where one may be chosen."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        assert node, f"There is no {selector}."
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def photograph(self, path):
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.contextmanager
def browser(folder):
    """Yields a page of a browser that keeps what it must in a folder."""
    path = installed()
    for_it, to_it = os.pipe()
    from_it, of_it = os.pipe()
    words = [
        path, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--disable-default-apps", f"--user-data-dir={folder / 'profile'}",
        "--remote-debugging-pipe",
        # Whatever has another name than this machine is not found.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]  # fmt: skip
    # It reads from 3 and writes to 4.
    script = f'exec "$@" 3<&{for_it} 4>&{of_it}'
    process = subprocess.Popen(
        ["bash", "-c", script, "-", *words], pass_fds=(for_it, of_it), stderr=subprocess.DEVNULL
    )
    os.close(for_it)
    os.close(of_it)
    page = Page(to_it, from_it)
    try:
        page.start()
        yield page
    finally:
        page.session = None
        with contextlib.suppress(AssertionError, OSError):
            page.ask("Browser.close")
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to_it)
        os.close(from_it)
