"""Decodes picture files inside a graph exactly as Pillow does, to the last bit."""

import tensorflow as tf

from dlapps.graphs.orientation import upright

# The formats by their first bytes. What is none of these, TensorFlow refuses.
JPEG = b"\xff\xd8\xff"
FORMATS = {"jpeg": JPEG, "png": b"\x89PNG\r\n\x1a\n", "bmp": b"BM", "webp": b"RIFF"}
GREY, COLOUR = 0, 2  # The kinds of PNG that have no palette and no alpha.


def decoded(data: tf.Tensor, short_side: int | tf.Tensor = 0) -> tf.Tensor:
    """Decodes a JPEG, PNG, WebP, BMP or GIF file: upright, RGB, alpha over white, first frame.

    It does what `data.pictures.read_picture` does, and gives the same pixels, but for two things:
    what is transparent in a GIF is black, and EXIF notes in PNG and WebP files are not read.
    Refused are animated WebP files and BMP files of fewer than 8 bits a pixel.

    Args:
        data: Scalar string, the bytes of the file.
        short_side: Pixels that the shorter side must keep, see `read_picture`; 0 for all. An int32
            scalar if it is a tensor.

    Returns:
        `(rows, columns, 3)` uint8.
    """
    branches = {
        "jpeg": lambda: upright(_jpeg(data, short_side), data),
        "png": lambda: _png(data),
        "bmp": lambda: _bmp(data),
        "webp": lambda: _webp(data),
    }
    kinds = [tf.strings.substr(data, 0, len(FORMATS[name])) == FORMATS[name] for name in branches]
    chosen = tf.argmax(tf.stack([*kinds, tf.constant(True)]), output_type=tf.int32)
    image = tf.switch_case(chosen, [*branches.values(), lambda: _gif(data)])
    return tf.ensure_shape(image, (None, None, 3))


def _jpeg(data: tf.Tensor, short_side: int | tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG file, at a fraction of its size where that is more than enough."""

    def at(ratio: int) -> tf.Tensor:
        # TensorFlow's default is a faster, coarser transform, off by up to 5 of 255.
        return tf.io.decode_jpeg(data, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")

    if isinstance(short_side, int) and not short_side:
        return at(1)
    short_side = tf.cast(short_side, tf.float64)
    rows, columns = (
        tf.cast(side, tf.float64) for side in tf.unstack(tf.image.extract_jpeg_shape(data)[:2])
    )
    shorter = tf.minimum(rows, columns)
    scale = short_side / shorter
    # The order of these steps, and that they cut off, is Pillow's: `JpegImageFile.draft`.
    wanted = [tf.math.floor(side * scale) for side in (columns, rows)]
    times = tf.minimum(tf.math.floor(columns / wanted[0]), tf.math.floor(rows / wanted[1]))
    times = tf.where(shorter > 2 * short_side, times, 1.0)
    chosen = tf.reduce_sum(tf.cast(times >= [2.0, 4.0, 8.0], tf.int32))
    return tf.switch_case(chosen, [lambda ratio=ratio: at(ratio) for ratio in (1, 2, 4, 8)])


def _png(data: tf.Tensor) -> tf.Tensor:
    header = tf.io.decode_raw(tf.strings.substr(data, 24, 2), tf.uint8)
    depth, kind = tf.unstack(header, num=2)

    def grey_of_16_bits() -> tf.Tensor:
        values = tf.io.decode_png(data, channels=1, dtype=tf.uint16)
        eight = tf.math.rint(tf.cast(values, tf.float64) / 65535 * 255)
        return tf.image.grayscale_to_rgb(tf.cast(eight, tf.uint8))

    # Grey is scaled; of colours of 16 bits, Pillow too takes the upper 8. Four channels are asked
    # for where one colour may stand for transparent; for a palette they come out wrong.
    keyed = (kind == COLOUR) | ((kind == GREY) & (depth == 8))
    return tf.switch_case(
        tf.where((kind == GREY) & (depth == 16), 0, tf.where(keyed, 1, 2)),
        [
            grey_of_16_bits,
            lambda: _over_white(tf.io.decode_png(data, channels=4)),
            lambda: _over_white(tf.io.decode_png(data)),
        ],
    )


def _bmp(data: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_bmp(data)

    def looked_up() -> tf.Tensor:
        # TensorFlow takes the places in the palette for greys. The palette lies behind the two
        # headers, of 14 bytes and of as many as the second one says; blue comes first.
        length = _number(data, 14, tf.int32)
        table = tf.io.decode_raw(tf.strings.substr(data, 14 + length, 4 * 256), tf.uint8)
        table = tf.reshape(tf.concat([table, tf.zeros(4 * 256, tf.uint8)], 0)[: 4 * 256], (256, 4))
        return tf.reverse(tf.gather(table, tf.cast(image[..., 0], tf.int32))[..., :3], [-1])

    return tf.cond(tf.shape(image)[-1] == 1, looked_up, lambda: image[..., :3])


def _webp(data: tf.Tensor) -> tf.Tensor:
    # An animation is marked in the extended header; TensorFlow does not come back from some.
    still = (tf.strings.substr(data, 12, 4) != b"VP8X") | (
        tf.bitwise.bitwise_and(_number(data, 20, tf.uint8), 2) == 0
    )
    check = tf.debugging.Assert(still, ["An animated WebP cannot be decoded; send one frame."])
    with tf.control_dependencies([check]):
        return _over_white(tf.io.decode_webp(tf.identity(data))[0])


def _number(data: tf.Tensor, place: int, kind: tf.DType) -> tf.Tensor:
    return tf.io.decode_raw(tf.strings.substr(data, place, kind.size), kind)[0]


def _gif(data: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_image(data, channels=3, expand_animations=False)


def _over_white(image: tf.Tensor) -> tf.Tensor:
    """Lays a picture of 1 to 4 channels over white, rounding as Pillow's `alpha_composite`."""
    channels = tf.shape(image)[-1]
    colours = tf.cond(
        channels < 3, lambda: tf.repeat(image[..., :1], 3, -1), lambda: image[..., :3]
    )

    def mixed() -> tf.Tensor:
        alpha = tf.cast(image[..., -1:], tf.int32)
        sums = tf.cast(colours, tf.int32) * alpha + 255 * (255 - alpha)
        return tf.cast((sums + 127) // 255, tf.uint8)

    return tf.cond(channels % 2 == 0, mixed, lambda: colours)
