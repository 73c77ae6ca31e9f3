"""Shows whole pictures to a network inside a graph, and brings its boxes back into their pixels."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from dlapps.graphs import pictures, resampling

# What is known of a view, beside its pixels.
PLACE = {
    "sides": tf.TensorSpec((2,), tf.int32),  # height and width of the view
    "corner": tf.TensorSpec((2,), tf.float32),  # left and top of the picture in it
    "scale": tf.TensorSpec((), tf.float32),  # pixels of the view for one of what was scaled
    "size": tf.TensorSpec((2,), tf.int32),  # width and height of the picture
    "zoom": tf.TensorSpec((2,), tf.float64),  # pixels of the picture for one of what was scaled
}
STRIDE = 32


def views(files: tf.Tensor, size: int, grey: int) -> dict[str, tf.Tensor]:
    """Draws what a network is to see of pictures, as `data.views.looked` does.

    Args:
        files: `(batch,)` strings, the bytes of the files.
        size: Pixels of the longer side of each view.
        grey: Of the field around the pictures, 0 to 255.

    Returns:
        `images`, `(batch, size, size, 3)` uint8, each view at the top left, and what `PLACE`
        names.
    """
    specs = {"images": tf.TensorSpec((size, size, 3), tf.uint8), **PLACE}
    return tf.map_fn(lambda data: _view(data, size, grey), files, fn_output_signature=specs)


def _view(data: tf.Tensor, size: int, grey: int) -> dict[str, tf.Tensor]:
    is_jpeg = tf.strings.substr(data, 0, len(pictures.JPEG)) == pictures.JPEG
    nothing = tf.constant([0, 0])
    in_header = tf.cond(
        is_jpeg, lambda: tf.image.extract_jpeg_shape(data)[1::-1], lambda: nothing
    )  # Width and height; of other formats no use is made of it.
    longest = tf.maximum(tf.reduce_max(in_header), 1)
    # A JPEG decoded at a part of its size is a little blurred; at twice what is needed, no more.
    short_side = (2 * size * tf.reduce_min(in_header) + longest - 1) // longest
    image = pictures.decoded(data, short_side)
    read = tf.shape(image)[1::-1]
    turned = (in_header[0] > in_header[1]) != (read[0] > read[1])
    picture = tf.where(turned, in_header[::-1], in_header)
    is_whole = ~is_jpeg | (tf.reduce_max(read) == tf.reduce_max(picture))
    picture = tf.where(is_whole, read, picture)
    view, place = letterboxed(image, size, grey)
    zoom = tf.cast(picture, tf.float64) / tf.cast(read, tf.float64)
    return {"images": view, **place, "size": picture, "zoom": zoom}


def letterboxed(image: tf.Tensor, size: int, grey: int) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Fits a picture into the least view that holds it, as `data.letterbox` does.

    Args:
        image: `(rows, columns, 3)` uint8.
        size: Pixels of the longer side of the view, a multiple of 32.
        grey: Of the field around the picture, 0 to 255.

    Returns:
        The view at the top left of a field of `(size, size, 3)` uint8, and `sides`, `corner` and
        `scale` of `PLACE`.
    """
    rows_columns = tf.shape(image)[:2]
    whole = tf.cast(rows_columns, tf.float64)
    wanted = tf.maximum(tf.round(whole * (size / tf.reduce_max(whole))), 1)
    sides = tf.cast(tf.math.ceil(wanted / STRIDE) * STRIDE, tf.int32)
    scale = tf.reduce_min(tf.cast(sides, tf.float64) / whole)
    inner = tf.cast(tf.maximum(tf.round(whole * scale), 1), tf.int32)
    box = (0.0, 0.0, whole[1], whole[0])
    scaled = tf.cond(
        tf.reduce_all(inner == rows_columns),
        lambda: image,
        lambda: resampling.resized(image, inner[0], inner[1], box, resampling.BILINEAR),
    )
    before = (sides - inner) // 2
    around = tf.stack([before, size - inner - before], 1)
    field = tf.pad(scaled, tf.concat([around, [[0, 0]]], 0), constant_values=grey)
    corner = tf.cast(before[::-1], tf.float32)
    place = {"sides": sides, "corner": corner, "scale": tf.cast(scale, tf.float32)}
    return tf.ensure_shape(field, (size, size, 3)), place


def answers(
    images: tf.Tensor,
    sides: tf.Tensor,
    ask: Callable[[tf.Tensor], Sequence[tf.Tensor]],
    specs: Sequence[tf.TensorSpec],
) -> list[tf.Tensor]:
    """Asks a network about views, those of the same sides together.

    Args:
        images: `(batch, size, size, 3)` uint8, each view at the top left.
        sides: `(batch, 2)` int32, their heights and widths.
        ask: From `(views, height, width, 3)` uint8 to tensors with a row for each.
        specs: Of such a row in each of these.

    Returns:
        These tensors for the whole batch, in its order.
    """
    kinds, kind = tf.unique(sides[:, 0] * (tf.shape(images)[2] + 1) + sides[:, 1])

    def step(number: tf.Tensor, *found: tf.Tensor) -> tuple[tf.Tensor, ...]:
        those = tf.where(kind == number)
        height, width = tf.unstack(tf.gather(sides, those[0, 0]))
        parts = ask(tf.gather(images, those[:, 0])[:, :height, :width])
        filled = [
            tf.tensor_scatter_nd_update(whole, those, part)
            for whole, part in zip(found, parts, strict=True)
        ]
        return number + 1, *filled

    rows = tf.shape(images)[:1]
    empty = [tf.zeros(tf.concat([rows, spec.shape], 0), spec.dtype) for spec in specs]
    loop = (tf.constant(0), *empty)
    shapes = (tf.TensorShape([]), *(tf.TensorShape([None, *spec.shape]) for spec in specs))
    # One after the other: each of them has the whole machine.
    done = tf.while_loop(
        lambda number, *_: number < tf.size(kinds), step, loop, shapes, parallel_iterations=1
    )
    return list(done[1:])


def back(boxes: tf.Tensor, drawn: dict[str, tf.Tensor]) -> tf.Tensor:
    """Returns boxes of views in pixels of their pictures, clipped to these, as `View.back` does.

    Args:
        boxes: `(batch, boxes, 4)` float32, pixels of the views.
        drawn: What `views` returned.

    Returns:
        `(batch, boxes, 4)` float64.
    """
    corner = tf.tile(drawn["corner"], (1, 2))[:, None]
    zoom = tf.tile(drawn["zoom"], (1, 2))[:, None]
    highest = tf.cast(tf.tile(drawn["size"], (1, 2))[:, None], tf.float64)
    scaled = (boxes - corner) / drawn["scale"][:, None, None]
    moved = tf.cast(scaled, tf.float64) * zoom
    return tf.clip_by_value(moved, 0, highest)


def without_field(boxes: tf.Tensor, scores: tf.Tensor, classes: tf.Tensor) -> dict[str, tf.Tensor]:
    """Drops what lies on the grey around a picture alone, and closes the gaps.

    Args:
        boxes: `(batch, boxes, 4)` float64, pixels of the pictures, as `back` returns them.
        scores: `(batch, boxes)` float32.
        classes: `(batch, boxes)` int32, -1 where there is no box.

    Returns:
        `boxes`, float32, `scores` and `classes` of the same shapes, with zeros and -1 behind the
        last, and `count`, `(batch,)` int32.
    """
    good = (classes >= 0) & tf.reduce_all(boxes[..., 2:] > boxes[..., :2], -1)
    order = tf.argsort(tf.cast(~good, tf.int32), 1, stable=True)
    boxes, scores, classes, good = (
        tf.gather(each, order, batch_dims=1) for each in (boxes, scores, classes, good)
    )
    return {
        "boxes": tf.cast(tf.where(good[..., None], boxes, 0), tf.float32),
        "scores": tf.where(good, scores, 0),
        "classes": tf.where(good, classes, -1),
        "count": tf.reduce_sum(tf.cast(good, tf.int32), 1),
    }
