"""Scenes of random boxes and what the cells of a detector say about them."""

import numpy as np

SIDE = 96


def cells_of(side=SIDE, strides=(8, 16, 32)):
    """Returns x, y and stride of the cells of a square picture, `(cells, 3)` float32."""
    rows = [
        (x + stride / 2, y + stride / 2, stride)
        for stride in strides
        for y in range(0, side, stride)
        for x in range(0, side, stride)
    ]
    return np.array(rows, np.float32)


def boxes_and_labels(rng, pictures, most, classes, side, sizes):
    """Returns boxes about a picture, `(pictures, most, 4)`, padding with -1 among them."""
    middles = rng.uniform(0, side, (pictures, most, 2))
    halves = rng.uniform(*sizes, (pictures, most, 2)) / 2
    boxes = np.concatenate([middles - halves, middles + halves], -1).astype(np.float32)
    labels = rng.integers(-1, classes, (pictures, most)).astype(np.int32)
    boxes[labels < 0] = -1
    return boxes, labels


def overlap_of(one, other):
    """IoU of two boxes, number by number."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(wide, 0.0) * max(high, 0.0)
    areas = [max(b[2] - b[0], 0.0) * max(b[3] - b[1], 0.0) for b in (one, other)]
    return shared / (sum(areas) - shared) if sum(areas) > shared else 0.0


def is_candidate(cell, box):
    """Whether a centre lies in a box, or in a square of the cell's side around a smaller one."""
    x, y, stride = cell
    middle = (box[:2] + box[2:]) / 2
    low, high = np.minimum(box[:2], middle - stride / 2), np.maximum(box[2:], middle + stride / 2)
    return low[0] <= x <= high[0] and low[1] <= y <= high[1]


def slowly_assigned(scores, found, cells, boxes, labels):
    """Assigns the boxes of one picture, one by one: the box of each cell, and how sure it is."""
    fits, overlaps, takers = {}, {}, {cell: [] for cell in range(len(cells))}
    for number, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        if label < 0:
            continue
        for cell in range(len(cells)):
            if is_candidate(cells[cell], box):
                overlap = overlap_of(box, found[cell])
                overlaps[number, cell] = overlap
                fits[number, cell] = scores[cell, label] ** 0.5 * overlap**6
        mine = [cell for cell in range(len(cells)) if fits.get((number, cell), 0) > 0]
        for cell in sorted(mine, key=lambda cell: -fits[number, cell])[:10]:
            takers[cell].append(number)
    chosen = {c: max(few, key=lambda n: overlaps[n, c]) for c, few in takers.items() if few}
    weights = np.zeros(len(cells))
    for cell, number in chosen.items():
        rivals = [other for other, its in chosen.items() if its == number]
        best_fit = max(fits[number, other] for other in rivals)
        best_overlap = max(overlaps[number, other] for other in rivals)
        weights[cell] = fits[number, cell] / best_fit * best_overlap
    return chosen, weights
