"""Draws pictures with boxes as a detector learns from them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from dlapps.data.box_augment import BoxAugmentation, random_boxed_view
from dlapps.data.boxed import BoxedExample
from dlapps.data.kept_pictures import KeptPictures
from dlapps.data.letterbox import letterboxed

# The boxes of a batch are padded to a multiple of this, so that few shapes occur.
PADDED_TO = 16


class Views:
    """Draws the pictures of examples with their boxes, plain or by chance.

    A view depends on the seed, the picture, the turn and the size; not on threads or memory.

    Args:
        examples: The pictures.
        image_size: Side of a plain view, pixels.
        augmentation: How far random views may differ, or None for plain ones.
        seed: Where their chance comes from.
        sizes: Sides that batches of random views may have; `image_size` if there are none.
        flip: Whether left and right may change places.
        last_mosaic: The last turn that shows four pictures in one view; all do if it is None.
            Pictures as they will come are learnt from at the end.
    """

    def __init__(
        self,
        examples: Sequence[BoxedExample],
        image_size: int,
        augmentation: BoxAugmentation | None = None,
        seed: int = 0,
        sizes: Sequence[int] = (),
        flip: bool = True,
        last_mosaic: int | None = None,
    ):
        self.examples = examples
        self.image_size = image_size
        self.augmentation = augmentation
        self.seed = seed
        self.sizes = tuple(sizes) or (image_size,)
        self.flip = flip
        self.last_mosaic = last_mosaic
        zoom = max(1.0, augmentation.scales[1]) if augmentation else 1.0
        self.store = KeptPictures(
            [example.source for example in examples],
            [example.size for example in examples],
            round(max(image_size, *self.sizes) * zoom),
        )

    def draw(
        self, index: int, turn: int = 0, size: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns a view of one picture; another in every turn.

        Args:
            index: The picture's place among the examples.
            turn: The epoch, from 1; turn 0 is plain.
            size: Side of the view, pixels; `image_size` if it is None.

        Returns:
            The view, `(size, size, 3)` uint8; its boxes, `(boxes, 4)` float32 in pixels of the
            view, without crowds; their labels, `(boxes,)` int32.

        Raises:
            UnreadablePictureError: If the picture is none.
        """
        size = size or self.image_size
        augmentation = self.augmentation
        if augmentation is None or turn == 0:
            image, boxes, labels = self.read(index)
            view, placement = letterboxed(image, size, size)
            return view, placement.into(boxes), labels
        # By content, not by place: the same picture is drawn the same way in any order.
        rng = np.random.default_rng([self.seed, turn, int(self.examples[index].digest[:16], 16)])
        indices = [index]
        mosaic = self.last_mosaic is None or turn <= self.last_mosaic
        if rng.random() < augmentation.mosaic and mosaic:
            others = rng.integers(len(self.examples), size=3)
            indices = [int(k) for k in rng.permutation([index, *others])]
        return random_boxed_view(self.read, indices, size, augmentation, rng, self.flip)

    def read(self, index: int) -> tuple[Image.Image, np.ndarray, np.ndarray]:
        """Returns a picture, the boxes to learn in its pixels, and their labels.

        Raises:
            UnreadablePictureError: If it is none.
        """
        example = self.examples[index]
        image = self.store.read(index)
        ratio = np.divide(image.size, example.size)
        learnt = ~example.crowd
        boxes = example.boxes[learnt] * np.tile(ratio, 2)
        return image, boxes.astype(np.float32), example.labels[learnt]

    def size_of_batch(self, turn: int, step: int) -> int:
        """Returns the side of a batch of random views, drawn by chance."""
        rng = np.random.default_rng([self.seed, turn, step])
        return self.sizes[rng.integers(len(self.sizes))]


def batch_of(views: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple:
    """Stacks views, and pads their boxes and labels with -1.

    Args:
        views: What `Views.draw` returns, all of one size.

    Returns:
        `(batch, size, size, 3)` uint8 images, and a pair of targets: `(batch, most, 4)` float32
        boxes and `(batch, most)` int32 labels. `most` is the largest number of boxes in a view
        of the batch, rounded up to a multiple of `PADDED_TO`, at least one of these.
    """
    most = max(1, *(len(boxes) for _, boxes, _ in views))
    most = -(-most // PADDED_TO) * PADDED_TO
    boxes = np.full((len(views), most, 4), -1, np.float32)
    labels = np.full((len(views), most), -1, np.int32)
    for row, (_, own, names) in enumerate(views):
        boxes[row, : len(own)] = own
        labels[row, : len(own)] = names
    return np.stack([image for image, _, _ in views]), (boxes, labels)
