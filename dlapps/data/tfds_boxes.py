"""Reads boxes from datasets of TensorFlow Datasets by name."""

from typing import Any

import numpy as np

from dlapps.data.annotations import Annotation, Annotations, Findings
from dlapps.data.splits import SPLITS
from dlapps.data.tfds import builder_of, encoded, prepare
from dlapps.errors import UserError

# What datasets call boxes that are neither to be learnt nor to be counted.
CROWD = ("is_crowd", "is_difficult", "is_group_of")
UNNAMED = "Boxes without a class, left out"


def read_tfds(name: str) -> Annotations:
    """Reads pictures with boxes, downloading them if they are not there yet.

    The encoded pictures are kept in memory.

    Args:
        name: `NAME[/CONFIG]` of TensorFlow Datasets, such as `voc/2007`.

    Raises:
        UserError: If there is no such dataset, it cannot be had, or it has no pictures with boxes
            and classes.
    """
    import tensorflow_datasets as tfds  # noqa: PLC0415  seconds of import, for these names only

    builder = builder_of(name)
    group, label = features_of(builder, name)
    prepare(builder, name)
    # The names of some datasets' classes are known only when it is there.
    features = builder.info.features if group is None else builder.info.features[group].feature
    labels = list(features[label].names)
    decoders = {"image": tfds.decode.SkipDecoding()}
    findings = Findings()
    splits: dict[str, list[Annotation]] = {}
    for split in builder.info.splits:
        if split not in SPLITS:  # Such as unlabelled pictures.
            continue
        rows = tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders))
        splits[SPLITS[split]] = [
            _annotation(f"tfds:{name}/{split}/{number}", row, group, label, findings)
            for number, row in enumerate(rows)
        ]
    return Annotations(name.replace("/", "-"), labels, splits, findings.notes())


def features_of(builder: Any, name: str) -> tuple[str | None, str]:
    """Returns the feature that holds the boxes, None for one box a picture, and their label.

    Raises:
        UserError: If there is none.
    """
    import tensorflow_datasets as tfds  # noqa: PLC0415  as above

    features = dict(builder.info.features or {})
    groups = {
        key: dict(value.feature)
        for key, value in features.items()
        if isinstance(value, tfds.features.Sequence)
        and isinstance(value.feature, tfds.features.FeaturesDict)
    }
    for group, inner in [*groups.items(), (None, features)]:
        boxes = inner.get("bbox")
        named = [
            key for key in ("label", "type") if isinstance(inner.get(key), tfds.features.ClassLabel)
        ]
        if "image" in features and named and isinstance(boxes, tfds.features.BBoxFeature):
            kind = boxes.bbox_format
            if kind not in (None, tfds.core.features.bounding_boxes.bb_utils.BBoxFormat.REL_YXYX):
                raise UserError(f"tfds:{name} gives boxes as {kind.name}; REL_YXYX is read.")
            return group, named[0]
    raise UserError(
        f"tfds:{name} has no 'image' and 'objects' with 'bbox' and 'label'; it holds "
        f"{', '.join(features)}."
    )


def _annotation(
    place: str, row: dict[str, Any], group: str | None, label: str, findings: Findings
) -> Annotation:
    things = row if group is None else row[group]
    boxes = np.reshape(things["bbox"], (-1, 4)).astype(np.float64)[:, [1, 0, 3, 2]]
    labels = np.reshape(things[label], -1)
    crowd = np.zeros(len(boxes), bool)
    for key in CROWD:
        crowd |= np.reshape(things.get(key, crowd), -1).astype(bool)
    numbers = [f"object {number}" for number in range(1, len(boxes) + 1)]
    for k in np.flatnonzero(labels < 0):
        findings.add(UNNAMED, f"{place}, {numbers[k]}")
    named = np.flatnonzero(labels >= 0).tolist()
    return Annotation(
        place,
        encoded(row["image"]),
        boxes[named],
        labels[named].tolist(),
        crowd[named].tolist(),
        place,
        [numbers[k] for k in named],
        relative=True,
    )
