"""YOLOv8n from scratch in Ultralytics, for `detect_cells.py`.

A yardstick in an environment of its own, never a dependency: its licence is the AGPL. Reads a
request as JSON from standard input and writes, as its last line, the boxes, scores and labels it
finds in each held-out picture to standard output. Trains with Ultralytics' own defaults, for a
number of minutes, in the working folder.
"""

import contextlib
import json
import sys
from pathlib import Path

import torch


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou: float) -> torch.Tensor:
    """Returns the boxes that stay, the surest first, as torchvision's operation does."""
    order = scores.argsort(descending=True)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept = []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(first)
        low = torch.maximum(boxes[first, :2], boxes[order, :2])
        high = torch.minimum(boxes[first, 2:], boxes[order, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        order = order[shared <= iou * (areas[first] + areas[order] - shared)]
    return torch.stack(kept) if kept else order


try:
    import torchvision  # Only to see whether it works.
except RuntimeError:
    # The torchvision of PyPI is for CUDA; beside a PyTorch for CPUs its operations are missing.
    LIBRARY = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):
            LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    LIBRARY.impl("nms", nms, "CPU")
    import torchvision.extension

    torchvision.extension._has_ops = lambda: True
from ultralytics import YOLO  # noqa: E402  it imports torchvision


def main() -> None:
    """Trains, and says what it finds."""
    request = json.load(sys.stdin)
    for split in ("train", "val"):
        _write(split, request[split])
    names = "\n".join(f"  {k}: {label}" for k, label in enumerate(request["labels"]))
    Path("data.yaml").write_text(
        f"path: {Path.cwd()}\ntrain: images/train\nval: images/val\nnames:\n{names}\n"
    )
    model = YOLO("yolov8n.yaml")
    model.train(
        data="data.yaml", imgsz=request["size"], time=request["minutes"] / 60, device="cpu",
        workers=0, plots=False, project=str(Path.cwd()), name="run", verbose=False,
    )  # fmt: skip
    best = YOLO("run/weights/best.pt")
    found = []
    for name, *_ in request["val"]:
        said = best.predict(name, imgsz=request["size"], conf=0.001, iou=0.7, verbose=False)
        boxes = said[0].boxes
        found.append([boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.int().tolist()])
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def _write(split: str, pictures: list) -> None:
    """Lays pictures and boxes out as Ultralytics wants them."""
    images, labels = Path("images", split), Path("labels", split)
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for name, kinds, boxes, (width, height) in pictures:
        path = Path(name)
        (images / path.name).symlink_to(path)
        lines = [
            f"{kind} {(x0 + x1) / 2 / width} {(y0 + y1) / 2 / height} "
            f"{(x1 - x0) / width} {(y1 - y0) / height}"
            for kind, (x0, y0, x1, y1) in zip(kinds, boxes, strict=True)
        ]
        (labels / f"{path.stem}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
