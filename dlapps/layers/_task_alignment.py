"""Which cell is to find which box."""

from typing import Any

from keras import ops

from dlapps import boxes as geometry

# Cells that learn from each box, and how much class and place count: YOLOv8's values (the paper's
# are 13, 1 and 6).
CELLS = 10
CLASS_POWER = 0.5
PLACE_POWER = 6.0
# Less than this no fit is; 1e-12 would drown those of tiny boxes that nothing overlaps well yet.
LEAST_FIT = 1e-30


def assigned(scores: Any, found: Any, cells: Any, boxes: Any, labels: Any) -> tuple[Any, Any]:
    """Assigns to each box the cells that already see it best.

    A cell is a candidate if its centre lies within the box, or the box, if it is smaller than
    that, around the cell's own size. Of the candidates, those are taken whose class and box
    together fit best; a cell wanted by several boxes goes to the one that it overlaps most
    (task-aligned assignment, Feng et al. 2021, https://arxiv.org/abs/2108.07755).

    Args:
        scores: `(batch, cells, classes)` float in [0, 1], what the cells say now.
        found: `(batch, cells, 4)` float, the boxes that they say now.
        cells: `(batch, cells, 3)` float, x and y of the centres and the stride, pixels.
        boxes: `(batch, boxes, 4)` float, the true boxes.
        labels: `(batch, boxes)` int, their classes; -1 where there is no box.

    Returns:
        chosen: `(batch, cells)` int, the index of the box to find.
        weights: `(batch, cells)` float in [0, 1], how sure the cell should be of its class; 0 for
            a cell that is to find nothing.
    """
    is_box = ops.expand_dims(labels >= 0, -1)  # (batch, boxes, 1)
    wanted = ops.one_hot(ops.maximum(labels, 0), ops.shape(scores)[-1], dtype=scores.dtype)
    fit = ops.einsum("bgk,bck->bgc", wanted, scores)  # (batch, boxes, cells)
    overlap = geometry.iou(ops.expand_dims(boxes, 2), ops.expand_dims(found, 1))
    candidate = ops.logical_and(is_box, _near(cells, boxes))
    overlap = ops.where(candidate, overlap, 0.0)
    fit = ops.where(candidate, fit**CLASS_POWER * overlap**PLACE_POWER, 0.0)

    count = min(CELLS, cells.shape[1]) if cells.shape[1] is not None else CELLS
    least = ops.top_k(fit, count)[0][..., -1:]
    taken = ops.logical_and(fit > 0, fit >= least)
    own = ops.where(taken, overlap, -1.0)
    chosen = ops.argmax(own, axis=1)  # (batch, cells)
    number = ops.reshape(ops.arange(ops.shape(boxes)[1], dtype=chosen.dtype), (1, -1, 1))
    taken = ops.logical_and(taken, number == ops.expand_dims(chosen, 1))

    fit = ops.where(taken, fit, 0.0)
    best_fit = ops.max(fit, axis=-1, keepdims=True)
    best_overlap = ops.max(ops.where(taken, overlap, 0.0), axis=-1, keepdims=True)
    weights = ops.max(fit / ops.maximum(best_fit, LEAST_FIT) * best_overlap, axis=1)
    return chosen, weights


def _near(cells: Any, boxes: Any) -> Any:
    """Returns which cells may look for which box, `(batch, boxes, cells)` bool."""
    centres, strides = ops.expand_dims(cells[..., :2], 1), ops.expand_dims(cells[..., 2:], 1)
    middles = ops.expand_dims((boxes[..., :2] + boxes[..., 2:]) / 2, 2)
    halves = ops.expand_dims((boxes[..., 2:] - boxes[..., :2]) / 2, 2)
    # Half a stride to each side: a smaller box would slip between the centres.
    halves = ops.maximum(halves, strides / 2)
    # Not less but equal: the middle of a small box may lie on the line between two cells.
    return ops.all(ops.abs(centres - middles) <= halves, axis=-1)
