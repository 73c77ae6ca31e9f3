"""Kills a training at random moments, resumes it, and compares it with one never stopped.

python benchmarks/kill_and_resume.py DATA --kills 20 [--options "--batch-size 8 ..."]
"""

import argparse
import csv
import json
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np

CLOCKS = {"seconds", "input_seconds"}


def command(*words):
    """Returns the words of a `dlapps` command in an environment like this one."""
    return [sys.executable, "-m", "dlapps", *map(str, words)]


def history(run):
    """Returns the rows of a run without their times."""
    path = Path(run, "history.csv")
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return [{name: row[name] for name in row if name not in CLOCKS} for row in rows]


def finished(run):
    """Returns whether a run says that it is finished."""
    record = Path(run, "run.json")
    return record.exists() and json.loads(record.read_text())["state"] == "finished"


def weights(run):
    """Returns all arrays of a run's model by their name in the file."""
    found = {}
    with (
        zipfile.ZipFile(Path(run, "model.keras")) as archive,
        tempfile.TemporaryDirectory() as at,
        h5py.File(archive.extract("model.weights.h5", at)) as file,
    ):

        def keep(name, item):
            if isinstance(item, h5py.Dataset):
                found[name] = item[()]

        file.visititems(keep)
    return found


def stopped_at_random(words, run, rng, longest, how):
    """Runs a command and kills it after a random time; returns whether it was killed."""
    process = subprocess.Popen(command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, errors = process.communicate(timeout=rng.uniform(0.3, 1) * longest)
    except subprocess.TimeoutExpired:
        process.send_signal(how)
        process.communicate()
        return True
    if process.returncode:
        raise SystemExit(errors.decode())
    return False


def main():
    """Prints what became of each kill, and ends with status 1 at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--app", default="classify")
    parser.add_argument("--mode", default="finetune")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", default="")
    settings = parser.parse_args()
    rng = random.Random(settings.seed)
    options = [*shlex.split(settings.options), "--deterministic", "--checkpoint-seconds", "1"]
    start = [settings.app, f"--{settings.mode}", settings.data, *options]
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder, "whole"), Path(folder, "broken")
        began = time.monotonic()
        subprocess.run(command(*start, "--run", whole), check=True, stderr=subprocess.DEVNULL)
        longest = time.monotonic() - began
        print(f"never stopped: {longest:.0f} s, {len(history(whole))} epochs")
        kills = lost = rounds = 0
        while kills < settings.kills:
            if not Path(broken, "run.json").exists():
                shutil.rmtree(broken, ignore_errors=True)
                words = [*start, "--run", broken]
            else:
                words = [settings.app, "--resume", broken]
            done = len(history(broken))
            if finished(broken):  # Killed on its way out.
                words = ["models"]
            killed = stopped_at_random(words, broken, rng, longest, signal.SIGKILL)
            lost += len(history(broken)) < done
            kills += killed
            killed = killed and not finished(broken)
            print(f"{'killed' if killed else 'finished'} with {len(history(broken))} epochs")
            if not killed:
                rounds += 1
                same_history, same_weights = compare(whole, broken)
                print(f"history the same: {same_history}; weights bit for bit: {same_weights}")
                for one, other in zip(history(whole), history(broken), strict=False):
                    for name in one:
                        if one[name] != other.get(name):
                            place = f"{one['phase']} {one['epoch']}"
                            print(f"  {place}: {name} {one[name]} became {other.get(name)}")
                if not (same_history and same_weights):
                    raise SystemExit(1)
                shutil.rmtree(broken)
        print(f"{kills} kills, {rounds} trainings finished, {lost} kills that lost an epoch")


def compare(one, other):
    """Returns whether two runs have the same history and the same weights."""
    a, b = weights(one), weights(other)
    same = a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
    return history(one) == history(other), same


if __name__ == "__main__":
    main()
