"""Chooses the numbers to compute with by measuring, not by guessing."""

import contextlib
import json
import math
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import keras
import numpy as np
import tensorflow as tf

from dlapps import files
from dlapps.errors import UserError
from dlapps.layers.fast_lstm import FastLSTM

CANDIDATES = ("float32", "mixed_bfloat16", "mixed_float16")
# A policy must be this much faster than float32 to be worth its rounding.
WORTH_IT = 1.15
REPEATS = 3
# So many times the step of float32 is too slow to be measured again.
HOPELESS = 2


@contextlib.contextmanager
def chosen(precision: str, kind: str, folder: Path) -> Iterator[str]:
    """Makes a precision the one of every layer made in the block.

    Args:
        precision: "auto", or a dtype policy of Keras.
        kind: What "auto" measures: "convolutions" or "recurrence".
        folder: Where to keep what was measured, so that it is measured once.

    Yields:
        The name of the dtype policy.
    """
    policy = fastest(kind, folder) if precision == "auto" else precision
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield policy
    finally:
        keras.config.set_dtype_policy(before)


def fastest(kind: str, folder: Path) -> str:
    """Returns the dtype policy that trains fastest on this machine, float32 if it is close.

    Args:
        kind: "convolutions" or "recurrence".
        folder: Where to keep what was measured.
    """
    devices = [device.name for device in tf.config.list_physical_devices()]
    machine = [platform.node(), platform.processor(), os.cpu_count(), *devices, tf.__version__]
    path = folder / "precision.json"
    key = f"{kind} on {machine}"
    known: Any = None
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(path.read_text(encoding="utf-8"))
    known = known if isinstance(known, dict) else {}
    measured = known.get(key)
    if not _is_measured(measured):
        measured = {}
        for policy in CANDIDATES:  # float32 comes first.
            measured[policy] = seconds(kind, policy, HOPELESS * measured.get("float32", math.inf))
        with contextlib.suppress(UserError):  # It costs seconds to measure again, no more.
            files.write(path, json.dumps({**known, key: measured}, indent=2))
    best = min(measured, key=lambda policy: measured[policy])
    return best if measured["float32"] > WORTH_IT * measured[best] else "float32"


def _is_measured(kept: Any) -> TypeGuard[dict[str, float]]:
    times = [kept.get(policy) for policy in CANDIDATES] if isinstance(kept, dict) else [None]
    return all(isinstance(time, float) for time in times)


def seconds(kind: str, policy: str, too_long: float = math.inf) -> float:
    """Returns the time of one training step of a small network, seconds.

    Its layers have the sizes they have at work: on much smaller ones, half precision seems faster
    on processors where at work it is not.

    Args:
        kind: "convolutions" for blocks as in EfficientNet, "recurrence" for an LSTM.
        policy: A dtype policy of Keras.
        too_long: Seconds of a step that are not measured again.
    """
    network, shape = _NETWORKS[kind](policy)
    model = keras.Sequential([keras.Input(shape), *network, keras.layers.Dense(2, dtype="float32")])
    model.compile("sgd", "mse", jit_compile=False)
    x, y = np.ones((32, *shape), np.float32), np.ones((32, 2), np.float32)
    model.train_on_batch(x, y)  # Compiles.
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        model.train_on_batch(x, y)
        times.append(time.perf_counter() - start)
        if times[-1] > too_long:
            break
    return min(times)


def _convolutions(policy: str) -> tuple[list[keras.layers.Layer], tuple[int, ...]]:
    layers: list[keras.layers.Layer] = []
    for _ in range(2):
        layers += [
            keras.layers.Conv2D(672, 1, use_bias=False, dtype=policy),
            keras.layers.BatchNormalization(trainable=False, dtype=policy),
            keras.layers.Activation("relu6", dtype=policy),
            keras.layers.DepthwiseConv2D(5, padding="same", use_bias=False, dtype=policy),
            keras.layers.BatchNormalization(trainable=False, dtype=policy),
            keras.layers.Activation("relu6", dtype=policy),
            keras.layers.Conv2D(112, 1, use_bias=False, dtype=policy),
        ]
    return [*layers, keras.layers.GlobalAveragePooling2D(dtype=policy)], (14, 14, 112)


def _recurrence(policy: str) -> tuple[list[keras.layers.Layer], tuple[int, ...]]:
    return [FastLSTM(256, dtype=policy)], (64, 128)


_NETWORKS = {"convolutions": _convolutions, "recurrence": _recurrence}
