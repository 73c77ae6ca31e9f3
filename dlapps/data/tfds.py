"""Reads datasets of TensorFlow Datasets by name."""

import io
from typing import Any

import numpy as np
from PIL import Image

from dlapps import terminal
from dlapps.errors import UserError, nearest


def labelled_pictures(name: str) -> tuple[str, list[str], dict[str, list[tuple[bytes, int]]]]:
    """Reads pictures with one label each, downloading them if they are not there yet.

    The encoded pictures are kept in memory.

    Args:
        name: `NAME[/CONFIG]` of TensorFlow Datasets, such as `tf_flowers`.

    Returns:
        What a run on it is called, the labels, and by split the encoded pictures with the index of
        their label.

    Raises:
        UserError: If there is no such dataset, it cannot be had, or it has no picture and label.
    """
    import tensorflow_datasets as tfds  # noqa: PLC0415  seconds of import, for these names only

    builder = builder_of(name)
    features = builder.info.features or {}
    if "image" not in features or "label" not in features:
        raise UserError(f"tfds:{name} has no 'image' and 'label'; it holds {', '.join(features)}.")
    prepare(builder, name)
    decoders = {"image": tfds.decode.SkipDecoding()}
    splits = {
        split: [
            (encoded(row["image"]), int(row["label"]))
            for row in tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders))
            if row["label"] >= 0
        ]
        for split in builder.info.splits
    }
    unlabelled = sum(info.num_examples for info in builder.info.splits.values()) - sum(
        len(rows) for rows in splits.values()
    )
    if unlabelled:
        terminal.note(f"Note: {unlabelled} pictures of tfds:{name} have no label and are left out.")
    labelled = {split: rows for split, rows in splits.items() if rows}
    return name.replace("/", "-"), list(features["label"].names), labelled


def builder_of(name: str) -> Any:
    """Returns what makes a dataset.

    Raises:
        UserError: If there is none of that name.
    """
    import tensorflow_datasets as tfds  # noqa: PLC0415  as above

    try:
        return tfds.builder(name)
    except tfds.core.registered.DatasetNotFoundError as error:
        hint = nearest(name.partition("/")[0], tfds.list_builders(with_community_datasets=False))
        raise UserError(f"tfds:{name}: TensorFlow Datasets has no such dataset.{hint}") from error
    except (ValueError, AssertionError) as error:
        known = ", ".join(config.name for config in _configs(name))
        among = f" Its configs are {known}." if known else ""
        raise UserError(f"tfds:{name}: there is no such config or version.{among}") from error


def _configs(name: str) -> list[Any]:
    import tensorflow_datasets as tfds  # noqa: PLC0415  as above

    try:
        return list(tfds.builder_cls(name.partition("/")[0].partition(":")[0]).BUILDER_CONFIGS)
    except (ValueError, AssertionError):
        return []


def prepare(builder: Any, name: str) -> None:
    """Downloads a dataset if it is not there yet.

    Raises:
        UserError: If it cannot be had.
    """
    if not builder.data_path.exists():
        size = builder.info.download_size
        terminal.note(f"Downloading tfds:{name} ({size}) to {builder.data_path}")
    try:
        builder.download_and_prepare()
    except Exception as error:  # Whatever a site, a proxy or a disk can do wrong.
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"tfds:{name} could not be downloaded: {first[:200]}. It needs a network, once."
        ) from error


def encoded(image: bytes | np.ndarray) -> bytes:
    """Returns the bytes of a picture; mocked datasets give arrays."""
    if isinstance(image, bytes):
        return image
    file = io.BytesIO()
    Image.fromarray(np.squeeze(image)).save(file, "PNG")
    return file.getvalue()


def texts(name: str) -> tuple[str, dict[str, str]]:
    """Reads the texts of a dataset, downloading them if they are not there yet.

    Args:
        name: `NAME[/CONFIG]` of TensorFlow Datasets, such as `tiny_shakespeare`.

    Returns:
        What a run on it is called, and by split all its texts, a blank line between them.

    Raises:
        UserError: If there is no such dataset, it cannot be had, or it has no text.
    """
    import tensorflow_datasets as tfds  # noqa: PLC0415  as above

    builder = builder_of(name)
    features = dict(builder.info.features or {})
    named = [key for key, value in features.items() if isinstance(value, tfds.features.Text)]
    if not named:
        raise UserError(f"tfds:{name} has no text; it holds {', '.join(features)}.")
    prepare(builder, name)
    splits = {
        split: "\n\n".join(
            row[named[0]].decode() for row in tfds.as_numpy(builder.as_dataset(split=split))
        )
        for split in builder.info.splits
    }
    return name.replace("/", "-"), {split: text for split, text in splits.items() if text}


def captioned_pictures(name: str) -> tuple[str, dict[str, list[tuple[Any, list[str]]]]]:
    """Reads pictures with captions, downloading them if they are not there yet.

    The encoded pictures are kept in memory.

    Args:
        name: `NAME[/CONFIG]` of TensorFlow Datasets, such as `coco_captions`.

    Returns:
        What a run on it is called, and by split the encoded pictures with their captions.

    Raises:
        UserError: If there is no such dataset, it cannot be had, or it has no picture and captions.
    """
    import tensorflow_datasets as tfds  # noqa: PLC0415  as above

    builder = builder_of(name)
    features = builder.info.features or {}
    named = [key for key in ("captions", "caption") if key in features]
    if "image" not in features or not named:
        raise UserError(
            f"tfds:{name} has no 'image' and 'captions'; it holds {', '.join(features)}."
        )
    prepare(builder, name)
    decoders = {"image": tfds.decode.SkipDecoding()}
    splits = {
        split: [
            (encoded(row["image"]), _captions(row[named[0]]))
            for row in tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders))
        ]
        for split in builder.info.splits
    }
    return name.replace("/", "-"), {split: rows for split, rows in splits.items() if rows}


def _captions(told: Any) -> list[str]:
    """Returns captions as texts: one alone, several, or texts with numbers."""
    texts = told["text"] if isinstance(told, dict) else told
    several = texts if isinstance(texts, np.ndarray | list) else [texts]
    return [text.decode() for text in several if text.strip()]
