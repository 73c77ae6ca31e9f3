"""Of boxes that show the same thing, keeps the surest."""

import math

import keras
from keras import ops

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

# What the loop for other backends chooses from, in every image: pairs of a box and a class.
MOST_CANDIDATES = 4096


@keras.saving.register_keras_serializable(package="dlapps")
class NonMaxSuppression(keras.layers.Layer):
    """Keeps the surest of the boxes that overlap, class by class.

    The surest box of all is kept, and those of its class that overlap it are dropped; then the
    surest of the rest, and so on. Of two that are as sure the one that comes first counts.

    Args:
        confidence: Scores must be above it, in [0, 1].
        iou: Overlap (intersection over union) above which the less sure box goes, in [0, 1].
        max_detections: How many are kept in one image.

    Call arguments:
        boxes: `(batch, boxes, 4)` float, xyxy, pixels.
        scores: `(batch, boxes, classes)` float, in [0, 1].

    Returns:
        boxes: `(batch, max_detections, 4)` float32, the surest first; zeros behind the last.
        scores: `(batch, max_detections)` float32; zeros behind the last.
        labels: `(batch, max_detections)` int32, index of the class; -1 behind the last.
    """

    def __init__(self, confidence=0.25, iou=0.45, max_detections=300, **kwargs):
        # Without autocast: half a precision would move boxes by pixels and make scores equal.
        super().__init__(autocast=False, **kwargs)
        for name, value in (("confidence", confidence), ("iou", iou)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {value}.")
        if max_detections < 1:
            raise ValueError(f"max_detections must be at least 1, got {max_detections}.")
        self.confidence = confidence
        self.iou = iou
        self.max_detections = max_detections

    def call(self, boxes, scores):
        boxes, scores = ops.cast(boxes, "float32"), ops.cast(scores, "float32")
        if keras.backend.backend() == "tensorflow":
            return self._sparse(boxes, scores)
        return self._dense(boxes, scores)

    def compute_output_spec(self, boxes, scores):
        shape = (boxes.shape[0], self.max_detections)
        return (
            keras.KerasTensor((*shape, 4), "float32"),
            keras.KerasTensor(shape, "float32"),
            keras.KerasTensor(shape, "int32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "confidence": self.confidence,
            "iou": self.iou,
            "max_detections": self.max_detections,
        }

    def _sparse(self, boxes, scores):
        """Looks at the few pairs of a box and a class that are sure enough.

        For 20 candidates it takes a third of the time of `tf.image.combined_non_max_suppression`,
        for 2000 no more. That goes through every class of every box, and leaves open which of two
        equal scores comes first.
        """
        spec = [
            tf.TensorSpec((self.max_detections, 4), tf.float32),
            tf.TensorSpec((self.max_detections,), tf.float32),
            tf.TensorSpec((self.max_detections,), tf.int32),
        ]
        inputs = (boxes, scores, ops.max(scores, axis=-1))
        return tuple(tf.map_fn(lambda x: self._of_one_image(*x), inputs, fn_output_signature=spec))

    def _of_one_image(self, boxes, scores, best):
        cells = tf.where(best > self.confidence)[:, 0]
        scores = tf.gather(scores, cells)
        pairs = tf.where(scores > self.confidence)  # (pairs, 2): a row of `scores`, a class
        sure = tf.gather_nd(scores, pairs)
        labels = tf.cast(pairs[:, 1], tf.int32)
        candidates = tf.gather(boxes, tf.gather(cells, pairs[:, 0]))
        kept = tf.raw_ops.NonMaxSuppressionV3(
            boxes=_apart(candidates, labels, scores.shape[-1]),
            scores=sure,
            max_output_size=self.max_detections,
            iou_threshold=self.iou,
            score_threshold=self.confidence,
        )
        rest = [[0, self.max_detections - tf.size(kept)]]
        return [
            tf.pad(tf.gather(candidates, kept), [*rest, [0, 0]]),
            tf.pad(tf.gather(sure, kept), rest),
            tf.pad(tf.gather(labels, kept), rest, constant_values=-1),
        ]

    def _dense(self, boxes, scores):
        """Does the same in steps of fixed shapes, as compilers of other backends want them."""
        num_classes = scores.shape[-1]
        flat = ops.reshape(scores, (-1, boxes.shape[1] * num_classes))
        sure, pairs = ops.top_k(flat, min(MOST_CANDIDATES, flat.shape[1]))
        labels = ops.cast(pairs % num_classes, "int32")
        candidates = ops.take_along_axis(boxes, (pairs // num_classes)[..., None], axis=1)
        left = ops.where(sure > self.confidence, sure, 0.0)
        found = []
        for _ in range(self.max_detections):
            first = ops.argmax(left, axis=1)[:, None]
            score = ops.take_along_axis(left, first, axis=1)
            label = ops.take_along_axis(labels, first, axis=1)
            box = ops.take_along_axis(candidates, first[..., None], axis=1)
            goes = (_overlaps(box, candidates) > self.iou) & (labels == label)
            goes = goes | (ops.arange(left.shape[1])[None] == ops.cast(first, "int32"))
            found.append((ops.where(score > 0, box[:, 0], 0.0), score, label))
            left = ops.where(goes, 0.0, left)
        boxes, scores, labels = (ops.stack(list(each), axis=1) for each in zip(*found, strict=True))
        return boxes, scores[..., 0], ops.where(scores[..., 0] > 0, labels[..., 0], -1)


def _apart(boxes, labels, num_classes):
    """Moves boxes so that those of two classes never overlap."""
    low = tf.reduce_min(boxes)
    # Whole pixels on a square of places: few binary digits of the coordinates are lost.
    span = tf.math.ceil(tf.reduce_max(boxes) - low) + 2
    columns = math.isqrt(num_classes - 1) + 1
    places = tf.cast(tf.stack([labels % columns, labels // columns] * 2, axis=-1), tf.float32)
    return boxes - tf.math.floor(low) + places * span


def _overlaps(one, many):
    """Returns the intersection over union of `(batch, 1, 4)` with `(batch, boxes, 4)`."""
    low = ops.maximum(one[..., :2], many[..., :2])
    high = ops.minimum(one[..., 2:], many[..., 2:])
    common = ops.prod(ops.maximum(high - low, 0.0), axis=-1)
    areas = [ops.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (one, many)]
    return common / ops.maximum(areas[0] + areas[1] - common, 1e-9)
