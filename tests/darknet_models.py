"""Models of the Darknet family, drawn for tests: real architectures, narrow, random weights."""

import struct
from functools import partial

import cv2
import numpy as np

V2_ANCHORS = (
    "0.57273, 0.677385, 1.87446, 2.06253, 3.33843, 5.47434, 7.88282, 3.52778, 9.77052,9.16828"
)
V3_ANCHORS = "10,13,  16,30,  33,23,  30,61,  62,45,  59,119,  116,90,  156,198,  373,326"
TINY_ANCHORS = "10,14,  23,27,  37,58,  81,82,  135,169,  344,319"
CLASSES = 3


def section(kind, **options):
    return "\n".join([f"[{kind}]", *(f"{k}={v}" for k, v in options.items()), "", ""])


def conv(filters, size=3, stride=1, activation="leaky", narrow=16):
    return section(
        "convolutional", batch_normalize=1, filters=max(filters // narrow, 2), size=size,
        stride=stride, pad=1, activation=activation,
    )  # fmt: skip


def last(anchors):
    return section(
        "convolutional", size=1, stride=1, pad=1, filters=anchors * (5 + CLASSES),
        activation="linear",
    )  # fmt: skip


def route(*layers):
    return section("route", layers=", ".join(map(str, layers)))


def pool(size=2, stride=2):
    return section("maxpool", size=size, stride=stride)


def yolo(mask, anchors, **more):
    # OpenCV leaves out what is unsure or overlaps, unless told not to.
    return last(3) + section(
        "yolo", mask=mask, anchors=anchors, classes=CLASSES, num=len(anchors.split(",")) // 2,
        thresh=0, nms_threshold=0, **more,
    )  # fmt: skip


def region():
    return section(
        "region", anchors=V2_ANCHORS, bias_match=1, classes=CLASSES, coords=4, num=5, softmax=1,
        thresh=0,
    )  # fmt: skip


def net(size=96):
    return section("net", batch=1, subdivisions=1, width=size, height=size, channels=3)


def alternating(wide, count, narrow=16, activation="leaky"):
    """Returns convolutions of 3 and 1 by turns, as Darknet-19 and the heads have them."""
    return "".join(
        conv(wide // 2, 1, activation=activation, narrow=narrow) if k % 2
        else conv(wide, 3, activation=activation, narrow=narrow)
        for k in range(count)
    )  # fmt: skip


def pyramid_pool():
    return pool(5, 1) + route(-2) + pool(9, 1) + route(-4) + pool(13, 1) + route(-1, -3, -5, -6)


def yolov2():
    stages = [alternating(f, n) for f, n in ((32, 1), (64, 1), (128, 3), (256, 3), (512, 5))]
    return (
        net() + pool().join(stages) + pool() + alternating(1024, 5) + conv(1024) + conv(1024)
        + route(-9) + conv(64, 1) + section("reorg", stride=2) + route(-1, -4) + conv(1024)
        + last(5) + region()
    )  # fmt: skip


def tiny_trunk():
    stages = [conv(filters, narrow=8) for filters in (16, 32, 64, 128, 256, 512)]
    return pool().join(stages) + pool(2, 1) + conv(1024)


def yolov2_tiny():
    return net() + tiny_trunk() + conv(1024) + last(5) + region()


def yolov3_tiny():
    return (
        net() + tiny_trunk() + conv(256, 1) + conv(512) + yolo("3,4,5", TINY_ANCHORS)
        + route(-4) + conv(128, 1) + section("upsample", stride=2) + route(-1, 8) + conv(256)
        + yolo("0,1,2", TINY_ANCHORS)
    )  # fmt: skip


def yolov3(spatial_pyramid=False):
    text = net() + conv(32)
    for filters, count in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        block = conv(filters // 2, 1) + conv(filters) + section("shortcut", **{"from": -3})
        text += conv(filters, stride=2) + block * count
    heads = [("6,7,8", 1024, 61), ("3,4,5", 512, 36), ("0,1,2", 256, None)]
    for mask, filters, finer in heads:
        branch = (conv(filters // 2, 1) + conv(filters)) * 3
        if spatial_pyramid and filters == 1024:
            narrow, wide = conv(filters // 2, 1), conv(filters)
            branch = narrow + wide + narrow + pyramid_pool() + (narrow + wide) * 2
        text += branch + yolo(mask, V3_ANCHORS)
        if finer:
            text += route(-4) + conv(filters // 4, 1) + section("upsample", stride=2)
            text += route(-1, finer)
    return text


def yolov4_tiny():
    text = net() + conv(32, stride=2) + conv(64, stride=2) + conv(64)
    for filters in (64, 128, 256):
        text += section("route", layers=-1, groups=2, group_id=1)
        text += conv(filters // 2) + conv(filters // 2) + route(-1, -2) + conv(filters, 1)
        text += route(-6, -1) + pool() + conv(2 * filters)
    return (
        text + conv(256, 1) + conv(512) + yolo("3,4,5", TINY_ANCHORS, scale_x_y=1.05)
        + route(-4) + conv(128, 1) + section("upsample", stride=2) + route(-1, 23) + conv(256)
        + yolo("1,2,3", TINY_ANCHORS, scale_x_y=1.05)
    )  # fmt: skip


def yolov4():
    mish = partial(conv, activation="mish")
    text = net() + mish(32)
    for filters, count, back in ((64, 1, -7), (128, 2, -10), (256, 8, -28), (512, 8, -28),
                                 (1024, 4, -16)):  # fmt: skip
        # The first stage alone keeps all channels in both of its paths.
        half = filters if filters == 64 else filters // 2
        block = mish(filters // 2, 1) + mish(half) + section("shortcut", **{"from": -3})
        text += mish(filters, stride=2) + mish(half, 1) + route(-2) + mish(half, 1)
        text += block * count + mish(half, 1) + route(-1, back) + mish(filters, 1)
    text += conv(512, 1) + conv(1024) + conv(512, 1) + pyramid_pool()
    text += conv(512, 1) + conv(1024) + conv(512, 1)
    for filters, finer in ((256, 85), (128, 54)):
        text += conv(filters, 1) + section("upsample", stride=2) + route(finer)
        text += conv(filters, 1) + route(-1, -3)
        text += (conv(filters, 1) + conv(2 * filters)) * 2 + conv(filters, 1)
    text += conv(256) + yolo("0,1,2", V3_ANCHORS, scale_x_y=1.2)
    for filters, back, mask, scale in ((256, -16, "3,4,5", 1.1), (512, -37, "6,7,8", 1.05)):
        text += route(-4) + conv(filters, stride=2) + route(-1, back)
        text += (conv(filters, 1) + conv(2 * filters)) * 3
        text += yolo(mask, V3_ANCHORS, scale_x_y=scale)
    return text


FAMILY = {
    "yolov2": yolov2,
    "yolov2-tiny": yolov2_tiny,
    "yolov3": yolov3,
    "yolov3-spp": partial(yolov3, spatial_pyramid=True),
    "yolov3-tiny": yolov3_tiny,
    "yolov4": yolov4,
    "yolov4-tiny": yolov4_tiny,
}


def write_weights(path, network, seed=0, version=(0, 2, 5)):
    """Writes random weights of a network, as Darknet does; returns their number."""
    rng = np.random.default_rng(seed)
    layers = {layer.name: layer for layer in network.layers}
    arrays = []
    for place in range(200):
        if f"convolutional_{place}" not in layers:
            continue
        height, width, channels, filters = layers[f"convolutional_{place}"].kernel.shape
        arrays.append(rng.normal(0, 0.1, filters))
        if f"convolutional_{place}_norm" in layers:
            arrays.append(rng.uniform(0.8, 1.2, filters))
            arrays.append(rng.normal(0, 0.1, filters))
            arrays.append(rng.uniform(0.5, 1.5, filters))
        # Shortcuts add up; what is linear must reach far enough to tell cells apart.
        gain = 0.7 if f"convolutional_{place}_norm" in layers else 1.5
        kernel = rng.normal(0, gain, (filters, channels, height, width))
        arrays.append(kernel.ravel() / np.sqrt(channels * height * width))
    seen = struct.pack("<q" if version >= (0, 2) else "<i", 32013312)
    values = np.concatenate(arrays).astype("<f4")
    path.write_bytes(struct.pack("<3i", *version) + seen + values.tobytes())
    return len(values)


def opencv(cfg, weights, images):
    """Returns what OpenCV sees with the same files.

    Args:
        cfg: Path of the `.cfg`.
        weights: Path of the `.weights`.
        images: `(batch, height, width, 3)` uint8.

    Returns:
        boxes: `(batch, cells, 4)`, xyxy pixels.
        sure: `(batch, cells)`, that something is there.
        scores: `(batch, cells, classes)`.
    """
    net = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
    names = net.getUnconnectedOutLayersNames()
    rows = []
    height, width = images.shape[1:3]
    for image in images:
        net.setInput(cv2.dnn.blobFromImage(image, 1 / 255))
        rows.append(np.concatenate(net.forward(names)))
    found = np.stack(rows)
    centres, sides = found[..., :2] * (width, height), found[..., 2:4] * (width, height)
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)
    return boxes, found[..., 4], found[..., 5:]
