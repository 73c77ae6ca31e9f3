"""Turns photos upright inside a graph, as their cameras have noted it."""

import tensorflow as tf

# The note stands near the start of a file. A segment has at most 64 KB, and little is before it.
LOOKED_AT = 128 * 1024  # bytes
EXIF = [*b"Exif\0\0"]
TAG = 0x0112  # Of the orientation, in EXIF 2.3, table 4.
APP1, START_OF_SCAN = 0xE1, 0xDA
BEYOND = 16  # Zeros behind the end, to be read where a file stops too early.
MOST_ENTRIES = 1024


def upright(image: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    """Turns or mirrors a picture as the EXIF note in its JPEG file asks.

    Args:
        image: `(rows, columns, 3)` as it is stored.
        data: Scalar string, the bytes of the file.

    Returns:
        `(height, width, 3)` as it is to be seen.
    """
    noted = orientation(data)

    def turned() -> tf.Tensor:
        x = tf.cond(noted >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        mirrored, upturned = (
            tf.reduce_any(noted == several) for several in ([2, 3, 6, 7], [3, 4, 7, 8])
        )
        x = tf.cond(mirrored, lambda: tf.reverse(x, [1]), lambda: x)
        return tf.cond(upturned, lambda: tf.reverse(x, [0]), lambda: x)

    return tf.cond(noted > 1, turned, lambda: image)


def orientation(data: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a JPEG file, from 1 to 8; 1 where it has none.

    Args:
        data: Scalar string, the bytes of the file.
    """
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(data, 0, LOOKED_AT), tf.uint8), tf.int32)
    head = tf.concat([head, tf.zeros(BEYOND, tf.int32)], 0)
    return _in_note(head, _note(head))


def _note(head: tf.Tensor) -> tf.Tensor:
    """Returns where the EXIF note begins, behind its name; -1 where there is none."""

    def goes_on(place: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        inside = (found < 0) & (place + BEYOND <= tf.size(head))
        here = tf.minimum(place, tf.size(head) - BEYOND)  # Both sides of an `&` are computed.
        return inside & (head[here] == 255) & (head[here + 1] != START_OF_SCAN)

    def step(place: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # A segment is a byte of 255, its kind, two bytes of its length, its content.
        is_exif = (head[place + 1] == APP1) & tf.reduce_all(head[place + 4 : place + 10] == EXIF)
        is_filler = head[place + 1] == 255
        further = tf.where(is_filler, 1, 2 + head[place + 2] * 256 + head[place + 3])
        return place + further, tf.where(is_exif, place + 10, found)

    start = (tf.constant(2), tf.constant(-1))  # Behind the two bytes that all JPEG files begin with
    return tf.while_loop(goes_on, step, start)[1]


def _in_note(head: tf.Tensor, note: tf.Tensor) -> tf.Tensor:
    """Returns the orientation that a note in TIFF's layout holds, from 1 to 8."""
    little = _byte(head, note) == ord("I")

    def short(place: tf.Tensor) -> tf.Tensor:
        one, other = _byte(head, place), _byte(head, place + 1)
        return tf.where(little, one + 256 * other, 256 * one + other)

    def long(place: tf.Tensor) -> tf.Tensor:
        one, other = short(place), short(place + 2)
        return tf.where(little, one + 65536 * other, 65536 * one + other)

    # A damaged note may name any place; what lies outside counts as zeros.
    directory = note + tf.clip_by_value(long(note + 4), 0, LOOKED_AT)
    count = tf.minimum(short(directory), MOST_ENTRIES)
    entries = directory + 2 + 12 * tf.range(count)
    values = tf.where(short(entries) == TAG, short(entries + 8), 0)
    value = tf.reduce_max(tf.concat([values, [0]], 0))
    return tf.where((note >= 0) & (value >= 1) & (value <= 8), value, 1)


def _byte(head: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    inside = (place >= 0) & (place < tf.size(head))
    return tf.where(inside, tf.gather(head, tf.where(inside, place, 0)), 0)
