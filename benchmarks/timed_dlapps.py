"""`dlapps classify --train` with a clock, for `time_to_accuracy.py`.

Reads a request as JSON from standard input (see `time_to_accuracy.py`) and writes a reply to
standard output. Runs what the command runs, with its default options, in the working folder, and
notes the time and the held-out accuracy at the end of every epoch of the head. The clock starts
when everything is imported and never stands still: reading and splitting the dataset, the features
of the held-out pictures, and every evaluation count.
"""

import json
import sys
from importlib import metadata
from unittest import mock

from stopwatch import Stopwatch

from dlapps.apps.classify.config import Config
from dlapps.apps.classify.train import train
from dlapps.callbacks.run_recorder import RunRecorder


def main() -> None:
    """Trains, and replies with what was reached when."""
    request = json.load(sys.stdin)
    record = RunRecorder.on_epoch_end
    moments: list[dict] = []

    def noting(recorder, epoch, logs=None):
        accuracy = round(float(logs["val_accuracy"]), 6)  # 0.9 in float32 is less than 0.9.
        moments.append({"seconds": watch.seconds, "accuracy": accuracy, "epochs": epoch + 1.0})
        record(recorder, epoch, logs)

    with mock.patch.object(RunRecorder, "on_epoch_end", noting):
        watch = Stopwatch()
        done = train(request["data"], "train", Config(seed=request["seed"], run="run"))
    dataset = done.record["dataset"]
    reply = {"moments": moments, "version": f"dlapps {metadata.version('dlapps')}"}
    json.dump({**reply, "fingerprint": dataset["fingerprint"]}, sys.stdout)


if __name__ == "__main__":
    main()
