"""What an exported generator answers, from prompts to texts, and how that is checked."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlapps import inference, runs
from dlapps.apps.generate import predict
from dlapps.apps.generate.data import encoded, read_corpus
from dlapps.apps.generate.model import CharRNN
from dlapps.data import samples
from dlapps.graphs import writing
from dlapps.serving import DEFAULT, NUMERIC, Check, Checks, Limits, Numeric

PROMPT = 48  # Characters of a text that a check goes on from
WRITTEN = 100  # Characters that a check lets it write
STYLE = {"length": tf.int32, "temperature": tf.float32, "seed": tf.int64}
MORE_STYLE = {"top_k": tf.int32, "top_p": tf.float32}


def signatures(model: CharRNN) -> dict[str, Callable]:
    """Returns what the exported model answers, by the name of the signature.

    Returns:
        `serving_default`: from `prompts` (UTF-8), `length`, `temperature` and `seed`, each
        `(batch,)`, to `texts`, what is written on, and `unknown`, how many characters of each
        prompt the model does not know and left out. `truncated`: the same with `top_k` (0 for
        all) and `top_p` (1 for all). `arrays`: from `ids`, `(batch, time)`, to `logits`,
        `(batch, time, characters)`.
    """
    writer = writing.Writer(model.characters, _step(model), _shapes(model))

    @tf.function(autograph=False, input_signature=_specs(STYLE))
    def write(prompts, length, temperature, seed):
        rows = tf.shape(prompts)
        everything = (tf.zeros(rows, tf.int32), tf.ones(rows))
        return writer.write(prompts, length, temperature, seed, *everything)

    @tf.function(autograph=False, input_signature=_specs(STYLE | MORE_STYLE))
    def truncated(prompts, length, temperature, seed, top_k, top_p):
        return writer.write(prompts, length, temperature, seed, top_k, top_p)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, None), tf.int32, "ids")])
    def arrays(ids):
        return {"logits": writer.read(ids)}

    return {DEFAULT: write, "truncated": truncated, "arrays": arrays}


def numeric(model: CharRNN) -> Numeric:
    """Returns one step of the network: from `ids` and the states before to `logits` and after."""
    shapes = _shapes(model)
    states = {f"state_{k}": f"float32 (batch, {units})" for k, units in enumerate(shapes)}
    after = {f"after_{k}": shape for k, shape in enumerate(states.values())}
    about = {
        "labels": [*model.characters],
        "preprocessing": {
            "normalization": model.normalization,
            "steps": [
                "each character of the prompt is its place in `labels`",
                "all states begin as zeros; each step's `after_N` is the next one's `state_N`",
                "the softmax of `logits` is about the next character",
            ],
        },
        "inputs": {"ids": "int32 (batch,)", **states},
        "outputs": {"logits": f"float32 (batch, {len(model.characters)})", **after},
    }
    return Numeric(_step(model), ["logits", *after], about, False)


def checks(name: str, model: CharRNN, count: int) -> Checks:
    """Lets the trained model read real texts and write on.

    Args:
        name: What `load_model` took. Of a run the held-out text is read; else the documentation
            that every Python carries, as far as the model knows its characters.
        model: The trained model.
        count: Pieces of text at most.
    """
    where, ids = _text(name, model)
    length = min(PROMPT, len(ids) - 1)
    starts = np.unique(np.linspace(0, len(ids) - length - 1, count).astype(int))
    pieces = np.stack([ids[start : start + length + 1] for start in starts]).astype(np.int32)
    prompts, truth = pieces[:, :-1], pieces[:, -1]
    reader = predict.Reader(model)
    logits, before, after = zip(*(_read(reader, row) for row in prompts), strict=True)
    last = {f"state_{k}": np.stack(each) for k, each in enumerate(zip(*before, strict=True))}
    then = {f"after_{k}": np.stack(each) for k, each in enumerate(zip(*after, strict=True))}
    every = np.stack(logits)
    step = Check(NUMERIC, {"ids": prompts[:, -1], **last}, {"logits": every[:, -1], **then}, truth)
    arrays = Check("arrays", {"ids": prompts}, {"logits": every})
    return Checks(where, [*_written(model, prompts), arrays, step])


def refusal(inputs: Mapping[str, np.ndarray], limits: Limits) -> str:
    """Returns why a request is not worth computing, nothing if it is.

    Args:
        inputs: By name.
        limits: What it may ask for at most.
    """
    if "ids" in inputs:
        long = inputs["ids"].shape[1] > limits.prompt
        return f"ids has more than {limits.prompt} places in a row." if long else ""
    if inputs["length"].max(initial=0) > limits.length:
        return f"length is {inputs['length'].max()}; at most {limits.length} is written."
    for number, prompt in enumerate(inputs["prompts"]):
        try:
            count = len(prompt.decode())
        except UnicodeDecodeError:
            return f"Prompt {number} is not text in UTF-8."
        if count > limits.prompt:
            return f"Prompt {number} has {count} characters; at most {limits.prompt} are read."
    return ""


def example(model: CharRNN) -> dict:
    """Returns the body of a request, as a client would send it."""
    prompt = model.characters[:1].strip() or "A"
    row = {"prompts": prompt, "length": 200, "temperature": 0.8, "seed": 7}
    return {"instances": [row]}


def _written(model: CharRNN, prompts: np.ndarray) -> list[Check]:
    """Lets the trained model write with the graph's own chances; every other row is truncated."""
    rows = len(prompts)
    seeds = np.arange(rows, dtype=np.int64)
    temperatures = np.where(seeds % 4 < 2, 0.8, 1e-3).astype(np.float32)
    top_k = np.where(seeds % 2, 5, 0).astype(np.int32)
    top_p = np.where(seeds % 4 == 1, 0.9, 1).astype(np.float32)
    texts = []
    for row, seed in enumerate(seeds):
        style = predict.Style(float(temperatures[row]), int(top_k[row]) or None, float(top_p[row]))
        chances = _Chances(writing.draws(tf.constant([seed]), WRITTEN)[0].numpy())
        texts.append("".join(predict.predict(model, prompts[row], WRITTEN, style, chances)))
    inputs = {
        "prompts": _strings("".join(model.characters[k] for k in row) for row in prompts),
        "length": np.full(rows, WRITTEN, np.int32), "temperature": temperatures, "seed": seeds,
    }  # fmt: skip
    plain = {name: array[::2] for name, array in inputs.items()}
    truncated = {**inputs, "top_k": top_k, "top_p": top_p}
    return [
        Check(DEFAULT, plain, {"texts": _strings(texts[::2])}),
        Check("truncated", truncated, {"texts": _strings(texts)}),
    ]


class _Chances(np.random.Generator):
    """Gives numbers that are known beforehand, in turn."""

    def __init__(self, numbers: np.ndarray):
        super().__init__(np.random.PCG64(0))
        self.numbers = iter(numbers)

    def random(self, *_: Any, **__: Any) -> Any:
        return next(self.numbers)


def _strings(texts: Any) -> np.ndarray:
    return np.array([*(text.encode() for text in texts), None], object)[:-1]


def _read(reader: predict.Reader, row: np.ndarray) -> tuple[np.ndarray, list, list]:
    """Returns the logits after every character, and the states before and after the last."""
    states, before, logits = reader.start(), reader.start(), []
    for each in row:
        before = states
        found, states = reader.step(int(each), before)
        logits.append(found)
    return np.stack(logits), _flat(before), _flat(states)


def _flat(states: predict.States) -> list[np.ndarray]:
    return [state for layer in states for state in layer]


def _text(name: str, model: CharRNN) -> tuple[str, np.ndarray]:
    if (Path(name) / runs.RECORD).is_file():
        record = runs.load(name).record
        options, learnt = record["options"], record["dataset"]
        if "-" not in learnt["data"]:
            corpus = read_corpus(
                learnt["data"], options["validation"], options["validation_text"],
                options["encoding"], options["normalize"], model.characters,
            )  # fmt: skip
            if corpus.fingerprint == learnt["fingerprint"] and len(corpus.validation) > 2:
                return "text held out in training", corpus.validation
    ids, _ = encoded(samples.documentation(), model.characters)
    if len(ids) > PROMPT:
        return "Python's documentation", ids
    rng = np.random.default_rng(0)  # It knows another script.
    return "characters by chance", rng.integers(len(model.characters), size=5000)


def _specs(style: dict[str, tf.DType]) -> list[tf.TensorSpec]:
    each = {"prompts": tf.string, **style}
    return [tf.TensorSpec((None,), kind, name) for name, kind in each.items()]


def _shapes(model: CharRNN) -> list[int]:
    """Returns the width of each state, those of the first layer first."""
    return [model.units] * model.depth * (2 if model.cell == "lstm" else 1)


def _step(model: CharRNN) -> Callable:
    """Returns a step of the network in float32, its variables as constants."""
    exact = CharRNN.from_config({**model.get_config(), "dtype": "float32"})
    exact.build((None, None))
    exact.set_weights(model.get_weights())
    specs = [tf.TensorSpec((None,), tf.int32, "ids")]
    specs += [
        tf.TensorSpec((None, units), tf.float32, f"state_{k}")
        for k, units in enumerate(_shapes(model))
    ]

    def step(ids, *states):
        logits, after = exact.step(ids, [*states])
        return [logits, *after]

    return inference.with_constants(step, *specs)
