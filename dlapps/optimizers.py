"""The optimizers that `--optimizer` names."""

from collections.abc import Callable
from typing import Any

import keras

from dlapps.errors import UserError

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

# Of SGD with momentum, plain or Nesterov's (CS231n).
MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="dlapps")
class FastAdam(keras.optimizers.Adam):
    """Takes the steps of `keras.optimizers.Adam`, each weight's in one operation.

    Keras' own writes the momentum, the velocity and the weight one after the other, with a copy
    of each in between; that takes twice as long. Where that does not apply, Keras' own runs: on its
    other backends, with `amsgrad`, and for gradients of an embedding by id.
    """

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        # Past __setattr__, which would track it as a part of the optimizer.
        vars(self)["_shared"] = {}
        try:
            super()._backend_update_step(grads, trainable_variables, learning_rate)
        finally:
            del vars(self)["_shared"]

    def update_step(self, gradient, variable, learning_rate):
        dense = keras.backend.backend() == "tensorflow" and tf.is_tensor(gradient)
        if not dense or isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        place = self._get_variable_index(variable)
        # The same for all weights of a step: to trace them for each takes seconds.
        shared = vars(self).get("_shared", {})
        if variable.dtype not in shared:
            shared[variable.dtype] = self._numbers(learning_rate, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].value.handle,
            v=self._velocities[place].value.handle,
            grad=tf.cast(gradient, variable.dtype),
            **shared[variable.dtype],
        )

    def _numbers(self, learning_rate, dtype):
        rate, first, second, step, small = (
            tf.cast(each, dtype)
            for each in (
                learning_rate, self.beta_1, self.beta_2, self.iterations + 1, self.epsilon
            )
        )  # fmt: skip
        return {
            "beta1_power": first**step,
            "beta2_power": second**step,
            "lr": rate,
            "beta1": first,
            "beta2": second,
            "epsilon": small,
        }


@keras.saving.register_keras_serializable(package="dlapps")
class FastAdamW(FastAdam, keras.optimizers.AdamW):
    """Takes the steps of `keras.optimizers.AdamW`, as `FastAdam` does those of `Adam`."""


_MAKERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "sgd": keras.optimizers.SGD,
    "momentum": lambda rate, **more: keras.optimizers.SGD(rate, MOMENTUM, **more),
    "nesterov": lambda rate, **more: keras.optimizers.SGD(rate, MOMENTUM, nesterov=True, **more),
    "adagrad": keras.optimizers.Adagrad,
    "rmsprop": keras.optimizers.RMSprop,
    "adadelta": keras.optimizers.Adadelta,
    "adam": FastAdam,
    # It knows no None.
    "adamw": lambda rate, weight_decay, **more: FastAdamW(rate, weight_decay or 0.0, **more),
}


def optimizer(
    name: str, learning_rate: float, weight_decay: float = 0.0, accumulate: int = 1
) -> keras.optimizers.Optimizer:
    """Makes an optimizer.

    Args:
        name: "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam" or "adamw".
        learning_rate: A number, so that callbacks can change it.
        weight_decay: Part of each weight that an update of rate 1 takes away, apart from the
            gradients (https://arxiv.org/abs/1711.05101), with every optimizer.
        accumulate: Steps whose gradients are added up to one update.

    Raises:
        ValueError: If there is no such optimizer.
    """
    if name not in _MAKERS:
        raise ValueError(f"name must be one of {', '.join(_MAKERS)}, got {name!r}.")
    more: dict[str, Any] = {"gradient_accumulation_steps": accumulate if accumulate > 1 else None}
    return _MAKERS[name](learning_rate, weight_decay=weight_decay or None, **more)


def clipping(clip: str) -> tuple[str | None, float | None]:
    """Reads `--clip`.

    Args:
        clip: "none", "auto", or a way and a threshold such as "global-norm:1".

    Returns:
        What `GradientClipping` takes as `by` and `threshold`.
    """
    way, _, threshold = clip.partition(":")
    if way == "none":
        return None, None
    try:
        return way.replace("-", "_"), float(threshold) if threshold else None
    except ValueError as error:
        raise UserError(f"--clip {clip}: '{threshold}' is no threshold.") from error
