"""Writes datasets of pictures with boxes in the formats that people keep them in."""

import json

import numpy as np
from PIL import Image

ORIENTATION = 0x0112
LABELS = ["cat", "dog"]


def picture(path, size=(64, 48), seed=0, orientation=None):
    """Writes a picture of noise, perhaps one that is to be turned to be upright."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    exif = Image.Exif()
    if orientation:
        exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def yolo_line(label, box, size):
    """Returns the line of a box, xyxy in pixels."""
    (left, top, right, bottom), (width, height) = box, size
    values = ((left + right) / 2 / width, (top + bottom) / 2 / height)
    values += ((right - left) / width, (bottom - top) / height)
    return " ".join([str(label), *(f"{value:.6f}" for value in values)])


def voc_xml(name, size, things):
    """Returns the XML of things: class, box and perhaps whether it is difficult."""
    objects = "".join(
        f"<object><name>{label}</name><difficult>{int(bool(difficult))}</difficult><bndbox>"
        + "".join(
            f"<{corner}>{value}</{corner}>"
            for corner, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        + "</bndbox><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
        for label, box, *difficult in things
    )
    width, height = size
    return (
        f"<annotation><filename>{name}</filename>"
        f"<size><width>{width}</width><height>{height}</height></size>{objects}</annotation>"
    )


def coco_json(images, annotations, categories=((3, "cat"), (7, "dog"))):
    """Returns the JSON of pictures (id, name, size) and boxes (picture, class, xywh, crowd)."""
    return json.dumps(
        {
            "images": [
                {"id": key, "file_name": name, "width": size[0], "height": size[1]}
                for key, name, size in images
            ],
            "annotations": [
                {"id": number, "image_id": key, "category_id": label, "bbox": box, "iscrowd": crowd}
                for number, (key, label, box, crowd) in enumerate(annotations, start=1)
            ],
            "categories": [{"id": key, "name": name} for key, name in categories],
        }
    )


def write_yolo(root, boxes, size=(64, 48), settings="train: images\nnames: [cat, dog]\n"):
    """Writes a folder with data.yaml; `boxes` holds (label, box) by picture, or None."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(settings)
    (root / "labels").mkdir(exist_ok=True)
    for number, things in enumerate(boxes):
        picture(root / f"images/{number}.png", size, seed=number)
        if things is not None:
            lines = [yolo_line(label, box, size) for label, box in things]
            (root / f"labels/{number}.txt").write_text("\n".join(lines))
    return root


def write_voc(root, things, size=(64, 48), lists=None):
    """Writes a folder of Pascal VOC; `things` holds for each picture what `voc_xml` takes."""
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    for number, own in enumerate(things):
        picture(root / f"JPEGImages/{number}.jpg", size, seed=number)
        text = voc_xml(f"{number}.jpg", size, own)
        (root / f"Annotations/{number}.xml").write_text(text)
    for split, names in (lists or {}).items():
        path = root / f"ImageSets/Main/{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}\n" for name in names))
    return root


def write_coco(path, boxes, size=(64, 48), folder=None):
    """Writes a JSON file and its pictures; `boxes` holds for each picture (class id, xywh)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [(10 + number, f"{number}.png", size) for number in range(len(boxes))]
    for number, (_, name, _) in enumerate(images):
        picture((folder or path.parent) / name, size, seed=number)
    rows = [(10 + n, label, box, 0) for n, own in enumerate(boxes) for label, box in own]
    path.write_text(coco_json(images, rows))
    return path
