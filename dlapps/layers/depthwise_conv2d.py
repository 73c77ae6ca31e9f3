"""A depthwise convolution that learns at the speed that a CPU allows."""

import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

# Up to this width of a filter, oneDNN has a loop of its own for the gradient of depthwise filters;
# for wider ones it takes that of grouped convolutions.
WIDTH = 3


@keras.saving.register_keras_serializable(package="dlapps")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Gives what `keras.layers.DepthwiseConv2D` gives, with the same weights; learns faster.

    On a CPU, the gradient of filters wider than 3 cells takes TensorFlow several times as long as
    the convolution itself. It is made here of the gradients of parts three cells wide. Where that
    does not apply, Keras' own runs: in prediction, on its other backends, on a GPU, in half
    precision, with dilation, channels first, several filters a channel, or grids of unknown size.
    Its name is that of Keras' own, for files of weights go by it.

    Args:
        kernel_size: Height and width of the filters, cells.
        **kwargs: As for `keras.layers.DepthwiseConv2D`.

    Call arguments:
        inputs: `(batch, height, width, channels)` float.
        training: Whether a gradient will be asked for.

    Returns:
        `(batch, height / stride, width / stride, channels)`, rounded as the padding says.
    """

    def call(self, inputs, training=None):
        if not training or not self._is_slow(inputs):
            return super().call(inputs)
        outputs = _convolved(self.strides, self.padding.upper())(
            inputs, tf.convert_to_tensor(self.kernel)
        )
        if self.use_bias:
            outputs = outputs + tf.convert_to_tensor(self.bias)
        return self.activation(outputs) if self.activation is not None else outputs

    def _is_slow(self, inputs):
        return (
            keras.backend.backend() == "tensorflow"
            and not tf.config.list_logical_devices("GPU")
            and self.kernel_size[1] > WIDTH
            and self.compute_dtype == "float32"
            and self.data_format == "channels_last"
            and self.depth_multiplier == 1
            and tuple(self.dilation_rate) == (1, 1)
            and None not in inputs.shape[1:]
        )


def _convolved(strides, padding):
    """Returns the convolution of images with filters, both as TensorFlow takes them."""
    steps = [1, *strides, 1]

    @tf.custom_gradient
    def convolved(images, filters):
        def gradients(upstream):
            to_images = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(images),
                filter=filters,
                out_backprop=upstream,
                strides=steps,
                padding=padding,
            )
            to_filters = _filter_gradient(images, upstream, filters.shape, strides, padding)
            return to_images, to_filters

        return tf.nn.depthwise_conv2d(images, filters, steps, padding), gradients

    return convolved


def _filter_gradient(images, upstream, filters, strides, padding):
    """Returns the gradient of all filters, from those of three of their columns at a time."""
    height, width, channels, _ = filters
    rows, columns = (
        _zeros(images.shape[axis], upstream.shape[axis], length, stride, padding)
        for axis, length, stride in ((1, height, strides[0]), (2, width, strides[1]))
    )
    reach = (upstream.shape[2] - 1) * strides[1] + WIDTH  # How many columns a part looks at.
    parts, done = [], 0
    while done < width:
        first = min(done, width - WIDTH)
        start = first - columns[0]
        seen = images[:, :, max(start, 0) : start + reach]
        left = max(-start, 0)
        part = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=seen,
            filter_sizes=[height, WIDTH, channels, 1],
            out_backprop=upstream,
            strides=[1, *strides, 1],
            padding="EXPLICIT",
            explicit_paddings=[0, 0, *rows, left, reach - left - seen.shape[2], 0, 0],
        )
        parts.append(part[:, done - first :])
        done = first + WIDTH
    return tf.concat(parts, axis=1)


def _zeros(size, out, length, stride, padding):
    """Returns how many zeros TensorFlow puts before and behind."""
    zeros = max((out - 1) * stride + length - size, 0) if padding == "SAME" else 0
    return zeros // 2, zeros - zeros // 2
