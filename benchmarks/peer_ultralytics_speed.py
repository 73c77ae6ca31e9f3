"""Ultralytics' contestant of `detection_throughput.py`: YOLOv8n from files to boxes, at 320.

Its weights are random, which changes nothing in the time of the network; nothing is downloaded.

Command: python benchmarks/peer_ultralytics_speed.py LIST CONFIDENCE IOU
"""

import json
import sys
import time
from pathlib import Path

from peer_ultralytics import YOLO


def main() -> None:
    """Prints the seconds for the pictures that a text file lists, one a line."""
    paths = Path(sys.argv[1]).read_text().splitlines()
    settings = {
        "imgsz": 320,
        "conf": float(sys.argv[2]),
        "iou": float(sys.argv[3]),
        "device": "cpu",
        "verbose": False,
    }
    model = YOLO("yolov8n.yaml")
    for path in paths[:3]:
        model.predict(path, **settings)
    started = time.perf_counter()
    for path in paths:
        model.predict(path, **settings)
    print(json.dumps(time.perf_counter() - started))


if __name__ == "__main__":
    main()
