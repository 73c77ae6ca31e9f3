"""Measures `dlapps serve imagenet` beside the bare SavedModel, on pictures of one folder.

The rows: the bare model's pictures a second at its best batch size, and those of the server at
`--connections` connections; then the median and the 99th percentile of milliseconds at one
connection, for both; failed requests, and the memory of the server before and after. With --soak
it is asked on at as many connections for so long, and its memory is looked at ten times. Traffic
goes to 127.0.0.1 alone.

Commands:
  python benchmarks/serving.py FOLDER
  python benchmarks/serving.py FOLDER --seconds 5 --soak 600
"""

import base64
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import numpy as np
from processes import DLAPPS
from tables import table

BATCHES = (1, 4, 8, 16, 32)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--connections", default=32, show_default=True)
@click.option("--seconds", default=30.0, show_default=True, help="Of each measurement.")
@click.option("--soak", default=0.0, show_default=True, help="Seconds of saturation.")
@click.option("--port", default=8599, show_default=True)
def main(folder: str, connections: int, seconds: float, soak: float, port: int) -> None:
    """Measure on the JPEG files in FOLDER."""
    files = [path.read_bytes() for path in sorted(Path(folder).rglob("*.jpg"))[:64]]
    with tempfile.TemporaryDirectory() as place:
        words = [*DLAPPS, "export", "imagenet", "-o", place, "--inputs", "4"]
        saved = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        best, alone = _bare(saved, files, seconds)
        words = [*DLAPPS, "serve", saved, "--trust", "--port", str(port)]
        server = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        try:
            _wait(port)
            single, failed = _load(port, files, 1, seconds)
            before = _memory(server.pid)
            loaded, more = _load(port, files, connections, seconds)
            after = _memory(server.pid)
            soaked = []
            for _ in range(10 if soak else 0):
                answered, wrong = _load(port, files, connections, soak / 10)
                soaked.append([len(answered), wrong, _memory(server.pid)])
        finally:
            server.terminate()
            server.wait(60)
    served = len(loaded) / seconds
    rows = [
        ["bare, best batch, pictures/s", best],
        [f"server, {connections} connections, pictures/s", served],
        ["server / bare", served / best],
        ["bare, one picture, median ms", float(np.median(alone)) * 1000],
        ["server, one connection, median ms", float(np.median(single)) * 1000],
        ["bare, p99 ms", float(np.percentile(alone, 99)) * 1000],
        ["server, p99 ms", float(np.percentile(single, 99)) * 1000],
        ["failed requests", failed + more],
        ["memory before, MB", before],
        ["memory after, MB", after],
    ]
    print(table(["what", "figure"], rows))
    if soak:
        header = [f"tenth of {soak:g} s", "answered", "failed", "memory, MB"]
        print("\n" + table(header, [[k, *row] for k, row in enumerate(soaked, start=1)]))


BARE = """
import json, sys, time
import tensorflow as tf
saved, listed, seconds, batches = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]
files = [bytes.fromhex(line) for line in open(listed).read().split()]
ask = tf.saved_model.load(saved).signatures["serving_default"]
speeds = []
for size in json.loads(batches):
    images = tf.constant((files * size)[:size])
    ask(images=images)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds / 5:
        ask(images=images)["labels"].numpy()
        count += size
    speeds.append(count / (time.perf_counter() - started))
alone, started = [], time.perf_counter()
while time.perf_counter() - started < seconds:
    begun = time.perf_counter()
    ask(images=tf.constant([files[len(alone) % len(files)]]))["labels"].numpy()
    alone.append(time.perf_counter() - begun)
print(json.dumps([max(speeds), alone]))
"""


def _bare(saved: str, files: list[bytes], seconds: float) -> tuple[float, list[float]]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(file.hex() for file in files))
        listed.flush()
        words = [saved, listed.name, str(seconds), json.dumps(BATCHES)]
        done = subprocess.run(
            [sys.executable, "-c", BARE, *words], capture_output=True, text=True, check=True
        )
    best, alone = json.loads(done.stdout.splitlines()[-1])
    return best, alone


def _wait(port: int) -> None:
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.5)
    raise click.ClickException("The server did not come up.")


def _load(port: int, files: list[bytes], count: int, seconds: float) -> tuple[list[float], int]:
    """Asks over so many connections, and returns the seconds of each request, and failures."""
    bodies = [
        json.dumps({"instances": [{"b64": base64.b64encode(file).decode()}]}) for file in files
    ]
    taken: list[float] = []
    failed: list[int] = []
    end = time.perf_counter() + seconds

    def ask(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        number = first
        while (begun := time.perf_counter()) < end:
            connection.request("POST", "/v1/models/imagenet:predict", bodies[number % len(bodies)])
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                taken.append(time.perf_counter() - begun)
            else:
                failed.append(answer.status)
            number += 1

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken, len(failed)


def _memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
