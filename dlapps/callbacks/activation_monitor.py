"""Watches during training for units that can no longer learn."""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

# What of a layer is worth a word. Half is what Amazon SageMaker Debugger's rules DeadRelu and
# SaturatedActivation take (https://docs.aws.amazon.com/sagemaker/latest/dg/dead-relu.html); 65504
# is the greatest float16, and lost is what passes it wherever halves are computed or stored.
LIMITS = {"dead": 0.5, "saturated": 0.5, "largest": 65504.0}
_TEXTS = {
    "dead": "{:.0%} of its ReLU units are zero for every example, and so do not learn. "
    "A lower learning rate keeps more of them alive.",
    "saturated": "{:.0%} of its activations are at their bounds, where hardly any gradient passes. "
    "A lower learning rate or normalized inputs keep them away.",
    "largest": "its activations reach {:.3g}, beyond what float16 can hold. "
    "A lower learning rate or clipped gradients keep them small.",
}
# Closer than this to its bound an activation counts as flat. The slope of tanh is there 2 % of
# its greatest, that of sigmoid 4 %.
NEAR = 0.99
FEW = 65536  # Values that NumPy is done with sooner, as of one step of a recurrent layer.


@dataclass(frozen=True)
class _Kind:
    """What can go wrong with an activation."""

    ceiling: float | None = None  # The greatest value of one that is 0 below 0.
    bounds: tuple[float, float] | None = None  # Beyond them one is flat.


_KINDS = {
    "relu": _Kind(ceiling=math.inf),
    "relu6": _Kind(ceiling=6.0),
    **dict.fromkeys(["tanh", "hard_tanh"], _Kind(bounds=(-NEAR, NEAR))),
    **dict.fromkeys(["sigmoid", "hard_sigmoid"], _Kind(bounds=(1 - NEAR, NEAR))),
}
# Layers that compute an activation without holding it as an attribute.
_LAYERS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU)


class ActivationMonitor(keras.callbacks.Callback):
    """Looks at epoch ends into every activation for dead units, saturation and explosion.

    A loss that no longer falls does not say why. A rectified unit that is zero for every example
    gets no gradient and stays so (Lu et al. 2019, https://arxiv.org/abs/1903.06733); a tanh or
    sigmoid in its flat part passes hardly any (Glorot and Bengio 2010,
    https://proceedings.mlr.press/v9/glorot10a.html); numbers that grow without bound end as NaN.

    Seen are the activations that layers hold as attributes, such as those of `Dense`, `Conv2D`,
    `Activation` and the gates of recurrent cells, and the layers `ReLU`, `LeakyReLU`, `PReLU` and
    `ELU`; not a function that some `call` names itself. After a look, `layers` holds by the path
    of each layer what applies to it:

    * `dead`: part of the ReLU units (last axis) that are zero at every example and position.
    * `saturated`: part of the tanh values beyond ±0.99 and sigmoid values outside (0.01, 0.99);
      of relu6, part of the units that are above 0.99 of 6 at every example and position.
    * `largest`: the greatest absolute value; infinite or NaN if one is.

    The logs of every epoch say the worst layer's `dead_units` and `saturated` at the latest look.
    A look leaves no trace in the model, and one without activations is never looked at.

    Args:
        batch: What the model takes when called. With more examples, fewer units look dead that
            only rare ones wake; with fewer time steps, recurrent layers cost less, as they are
            run one by one.
        every: Training steps at least from one look to the next; the first is after one epoch.
        show: Called with a text the first time that a layer passes one of `LIMITS`.
    """

    def __init__(self, batch: Any, every: int = 200, show: Callable[[str], None] | None = None):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}.")
        self.batch = batch
        self.every = every
        self.show = show
        self.layers: dict[str, dict[str, float]] = {}
        self.steps = 0
        self.looked_at: int | None = None
        # By place in the model, not by path: Keras numbers names anew in every process.
        self.said: set[tuple[int, str]] = set()
        self.has_activations = True
        self.last_step = -1

    def get_state(self) -> dict[str, Any]:
        """Returns what a resumed training needs, fit for JSON, which has no NaN."""
        layers = {
            path: {name: x if math.isfinite(x) else str(x) for name, x in found.items()}
            for path, found in self.layers.items()
        }
        said = sorted(map(list, self.said))
        return {"steps": self.steps, "looked_at": self.looked_at, "layers": layers, "said": said}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from where `get_state` was called."""
        self.steps = state["steps"]
        self.looked_at = state["looked_at"]
        self.layers = {
            path: {name: float(value) for name, value in found.items()}
            for path, found in state["layers"].items()
        }
        self.said = {(place, fault) for place, fault in state["said"]}

    def on_train_begin(self, logs=None):
        layers = _layers_by_path(self.model).values()
        self.has_activations = any(_activations(layer) for layer in layers)

    def on_epoch_begin(self, epoch, logs=None):
        self.last_step = -1

    def on_train_batch_end(self, batch, logs=None):
        # Of several steps per execution, Keras tells the last, even when the data ended before it.
        step = min(batch, (self.params["steps"] or math.inf) - 1)
        self.steps += step - self.last_step
        self.last_step = step

    def on_epoch_end(self, epoch, logs=None):
        due = self.looked_at is None or self.steps - self.looked_at >= self.every
        if due and self.has_activations:
            self._look()
        for name, measure in (("dead_units", "dead"), ("saturated", "saturated")):
            found = [each[measure] for each in self.layers.values() if measure in each]
            if found and logs is not None:
                logs[name] = max(found)

    def _look(self):
        with _recording(self.model) as records:
            self.model(self.batch, training=False)
        self.layers = {path: record.measures() for path, record in records.items()}
        self.looked_at = self.steps
        places = {path: place for place, path in enumerate(_layers_by_path(self.model))}
        for path, found in self.layers.items():
            for fault, value in found.items():
                first = (places[path], fault) not in self.said
                if first and not value <= LIMITS[fault]:  # NaN is not below it either.
                    self.said.add((places[path], fault))
                    if self.show is not None:
                        self.show(f"{path}: {_TEXTS[fault].format(value)}")


class _Record:
    """What the activations of one layer gave during a look, over all calls."""

    def __init__(self):
        self.largest = np.float32(0)
        self.flat = self.bounded = 0  # Values.
        # By ceiling and number of units, the highest and the lowest value of each unit.
        self.units: dict[tuple[float, int], tuple[np.ndarray, np.ndarray]] = {}

    def add(self, output, kind):
        values, library = ops.cast(output, "float32"), ops  # The backend, which uses all cores,
        if math.prod(values.shape) <= FEW:  # but is slow to begin.
            values, library = ops.convert_to_numpy(values), np
        rows = library.reshape(values, (-1, values.shape[-1] if len(values.shape) > 1 else 1))
        highest, lowest = (
            ops.convert_to_numpy(reduced(rows, axis=0)) for reduced in (library.max, library.min)
        )
        # NumPy's maximum, unlike Python's, keeps a NaN.
        self.largest = np.maximum(self.largest, np.maximum(highest, -lowest).max())
        if kind.bounds is not None:
            flat = library.logical_or(values < kind.bounds[0], values > kind.bounds[1])
            self.flat += int(library.count_nonzero(flat))
            self.bounded += math.prod(values.shape)
        if kind.ceiling is not None:
            key = (kind.ceiling, len(highest))
            before = self.units.get(key, (highest, lowest))
            self.units[key] = np.maximum(before[0], highest), np.minimum(before[1], lowest)

    def measures(self):
        found = {"largest": float(self.largest)}
        saturated = [self.flat / self.bounded] if self.bounded else []
        for (ceiling, _), (highest, lowest) in self.units.items():
            found["dead"] = max(found.get("dead", 0.0), float((highest <= 0).mean()))
            if math.isfinite(ceiling):
                saturated.append(float((lowest >= NEAR * ceiling).mean()))
        return {**found, "saturated": max(saturated)} if saturated else found


@contextmanager
def _recording(model: keras.Model) -> Iterator[dict[str, _Record]]:
    """Records the activations of the calls inside it, by path of their layer, in their order."""
    records: dict[str, _Record] = {}
    layers = _layers_by_path(model)
    before = [(layer, dict(vars(layer))) for layer in layers.values()]
    try:
        for path, layer in layers.items():
            for attribute, (function, kind) in _activations(layer).items():
                # Past Keras' and TensorFlow's tracking of attributes.
                vars(layer)[attribute] = _recorder(function, kind, path, records)
            if isinstance(layer, keras.layers.RNN):
                # A loop runs the first step twice, once for its shapes; cuDNN shows nothing.
                vars(layer).update(unroll=True, use_cudnn=False)
            vars(layer).update(_losses=[], _loss_ids=set())  # A call would empty the old ones.
        # Drops what the call would write to variables: recurrent dropout draws random numbers
        # outside of training too, and a stateful layer keeps its state.
        with keras.StatelessScope():
            yield records
    finally:
        for layer, attributes in before:
            vars(layer).update(attributes)
            for added in vars(layer).keys() - attributes.keys():
                del vars(layer)[added]


def _recorder(function, kind, path, records):
    @functools.wraps(function)
    def recorded(*args, **kwargs):
        outputs = function(*args, **kwargs)
        for output in keras.tree.flatten(outputs):
            # Inside a compiled function there are no values.
            if hasattr(output, "numpy") and math.prod(output.shape):
                records.setdefault(path, _Record()).add(output, kind)
        return outputs

    return recorded


def _activations(layer: keras.layers.Layer) -> dict[str, tuple[Callable, _Kind]]:
    """Returns by attribute of a layer the activation that it holds, and its kind."""
    if isinstance(layer, keras.layers.ReLU) and not layer.negative_slope:
        ceiling = math.inf if layer.max_value is None else layer.max_value
        return {"call": (layer.call, _Kind(ceiling=ceiling))}
    if isinstance(layer, _LAYERS):
        return {"call": (layer.call, _Kind())}
    return {
        attribute: (value, _KINDS.get(getattr(value, "__name__", ""), _Kind()))
        for attribute, value in vars(layer).items()
        if attribute.endswith("activation")
        and callable(value)
        and not isinstance(value, keras.layers.Layer)  # Found as a layer of its own.
        and value is not keras.activations.linear
    }


def _layers_by_path(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Returns a model and all layers inside it, at any depth, by the names that lead to them."""
    layers: dict[str, keras.layers.Layer] = {}
    waiting: list[tuple[str, keras.layers.Layer]] = [("", model)]
    while waiting:
        path, layer = waiting.pop()
        if not any(layer is each for each in layers.values()):
            name = path or layer.name
            layers[name if name not in layers else f"{name}#{len(layers)}"] = layer
            within = layer._flatten_layers(include_self=False, recursive=False)
            waiting += [(f"{path}/{each.name}".lstrip("/"), each) for each in reversed(within)]
    return layers
