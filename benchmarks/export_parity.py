"""Compares exports with the trained models on real inputs, and how fast each is on one picture.

The first table has a row for each export: the largest difference of a number, the part of the
answers that are the same, and seconds. The second has milliseconds for one picture in memory,
the median of `--calls`, in a process of each format's own.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from processes import DLAPPS
from tables import table

FORMATS = ("savedmodel", "onnx", "litert", "keras")
TIMED = """
import json, statistics, sys, time
import numpy as np
kind, path, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
images = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype(np.float32)
if kind == "onnx":
    import onnxruntime
    session = onnxruntime.InferenceSession(path + "/model.onnx")
    call = lambda: session.run(None, {"images": images})
else:
    import tensorflow as tf
    if kind == "savedmodel":
        model = tf.saved_model.load(path)
        function = model.signatures["arrays"]
        tensor = tf.constant(images)
        call = lambda: function(images=tensor)["probabilities"].numpy()
    else:
        runner = tf.lite.Interpreter(
            path + "/model.tflite", num_threads=2
        ).get_signature_runner("serving_default")
        call = lambda: runner(images=images)
for _ in range(10):
    call()
seconds = []
for _ in range(calls):
    started = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - started)
print(json.dumps(statistics.median(seconds) * 1000))
"""


@click.command()
@click.argument("runs", nargs=-1)
@click.option("--inputs", default=200, show_default=True, help="Inputs to compare on.")
@click.option("--calls", default=200, show_default=True, help="Calls to time.")
def main(runs: tuple[str, ...], inputs: int, calls: int) -> None:
    """Export RUNS, by default the built-in models, in every format, and compare."""
    rows, speeds = [], []
    with tempfile.TemporaryDirectory() as folder:
        for run in runs or ("imagenet", "coco", "flickr8k", "shakespeare"):
            for kind in FORMATS:
                words = [*DLAPPS, "export", run, "--format", kind, "--inputs", str(inputs)]
                words += ["-o", str(Path(folder, kind))]
                done = subprocess.run(words, capture_output=True, text=True)
                if done.returncode:
                    raise click.ClickException(done.stderr[-2000:])
                cells = [line.split(" | ") for line in done.stderr.splitlines() if " | " in line]
                rows += [[run, kind, *(cell.strip(" |") for cell in row[:5])] for row in cells[2:]]
                place = done.stdout.strip()
                if run == "imagenet" and kind != "keras":
                    timed = [sys.executable, "-c", TIMED, kind, place, str(calls)]
                    answer = subprocess.run(timed, capture_output=True, text=True, check=True)
                    speeds.append([kind, json.loads(answer.stdout.splitlines()[-1])])
    header = ["model", "format", "signature", "output", "inputs", "difference", "equal"]
    print(table(header, rows))
    if speeds:
        print()
        print(table(["imagenet, one picture", "milliseconds"], speeds))


if __name__ == "__main__":
    main()
