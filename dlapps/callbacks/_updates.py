"""Hooks into an optimizer's updates, inside the compiled training step."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

# Called with a line for the user.
Show = Callable[[str], None]


class UpdateHook(Protocol):
    """What looks at the weights before and after each update, inside the compiled step."""

    def before(self, weights: Sequence[keras.Variable]) -> Any:
        """Returns what `after` needs of the weights as they are now."""

    def after(self, weights: Sequence[keras.Variable], seen: Any) -> None:
        """Looks at the weights when they are updated."""


def innermost(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Returns the optimizer that updates the weights, below any scaling of the loss."""
    while isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return optimizer


def hook_updates(model: keras.Model, hook: UpdateHook) -> None:
    """Calls a hook around each update of the model's weights, until `unhook_updates`.

    Wherever the step is compiled again it is hooked anew, so that steps that are skipped (by the
    scaling of a float16 loss) are not seen, and those inside `steps_per_execution` are.
    """
    optimizer = innermost(model.optimizer)
    hooks = vars(optimizer).setdefault("_dlapps_hooks", [])
    if not hooks:
        original = optimizer.apply

        def apply(grads: Sequence, trainable_variables: Sequence | None = None) -> None:
            weights = list(trainable_variables or optimizer._trainable_variables)
            seen = [each.before(weights) for each in hooks]
            original(grads, trainable_variables)
            for each, before in zip(hooks, seen, strict=True):
                each.after(weights, before)

        # Past __setattr__, which would track the function as a part of the optimizer.
        vars(optimizer)["apply"] = apply
    if hook not in hooks:  # It still is after a training that was interrupted.
        hooks.append(hook)
    model.make_train_function(force=True)


def unhook_updates(model: keras.Model, hook: UpdateHook) -> None:
    """Takes a hook out again."""
    optimizer = innermost(model.optimizer)
    hooks = vars(optimizer).get("_dlapps_hooks", [])
    if hook in hooks:
        hooks.remove(hook)
        if not hooks:
            del vars(optimizer)["apply"]
        model.make_train_function(force=True)


def will_update(optimizer: keras.optimizers.Optimizer) -> Any:
    """Returns whether the step at hand changes the weights, not only gathers gradients."""
    every = optimizer.gradient_accumulation_steps
    # Of the steps; `optimizer.iterations` counts the updates.
    return not every or keras.ops.equal((optimizer._iterations + 1) % every, 0)


def variable(value: Any) -> keras.Variable:
    """Makes a float32 variable, also while a step is being compiled."""
    with tf.init_scope():
        return keras.Variable(keras.ops.convert_to_tensor(value, "float32"), trainable=False)


def snapshot(variables: Iterable[keras.Variable]) -> list[np.ndarray]:
    """Returns what variables hold, copied once; `keras.ops.convert_to_numpy` copies it twice."""
    return [np.asarray(each) for each in variables]


def changing_weights(model: keras.Model) -> list[keras.Variable]:
    """Returns what training changes: the weights that learn, and what their layers keep of it."""
    layers = [layer for layer in model._flatten_layers() if layer.trainable]
    kept = [variable for layer in layers for variable in layer._non_trainable_variables]
    return [*model.trainable_variables, *kept]


def weight_names(model: keras.Model) -> dict[int, str]:
    """Names the weights of a model by the path of their layer, each name once.

    Returns:
        Names by `id` of the variable, in the order of `model.weights`.
    """
    names: dict[int, str] = {}
    taken: set[str] = set()
    for weight in model.weights:
        path = weight.path.removeprefix(f"{model.name}/")
        # A part of a model that is trained alone goes by the names it has in the whole.
        path = path[path.find(f"/{model.name}/") + 1 :]
        rest = (f"{path}_{number}" for number in itertools.count(1))
        name = next(name for name in itertools.chain([path], rest) if name not in taken)
        taken.add(name)
        names[id(weight)] = name
    return names
