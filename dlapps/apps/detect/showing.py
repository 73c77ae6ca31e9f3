"""What people see of a detector: the picture with its boxes, and a table of these."""

import numpy as np

from dlapps.apps.detect import render
from dlapps.apps.detect.render import Prediction
from dlapps.apps.detect.serving import Detector
from dlapps.data.inputs import Input
from dlapps.data.pictures import UnreadablePictureError, read_picture
from dlapps.errors import UserError
from dlapps.showing import Answer, Ask, Looking

SIDE = 1280  # pixels; more than a page has room for
COLUMNS = ("label", "score", "left", "top", "right", "bottom")


def shown(model: Detector) -> Looking:
    """Returns how a detector is shown."""

    def answer(file: bytes, ask: Ask) -> Answer:
        said = ask()
        count = int(said["count"][0])
        boxes, scores = said["boxes"][0, :count], said["scores"][0, :count]
        labels = [label.decode() for label in said["labels"][0, :count]]
        try:
            image = read_picture(file)
        except UnreadablePictureError as error:
            raise UserError(f"The picture cannot be read: {error}.") from error
        scale = min(1.0, SIDE / max(image.size))
        small = image.resize([max(1, round(side * scale)) for side in image.size])
        places = np.array([model.labels.index(label) for label in labels], int)
        found = Prediction(Input("", file), small.size, boxes * scale, scores, places)
        rows = [
            (label, f"{score:.1%}", *(f"{side:.0f}" for side in box))
            for label, score, box in zip(labels, scores, boxes, strict=True)
        ]
        number = "1 thing" if count == 1 else f"{count or 'no'} things"
        text = f"{number[0].upper()}{number[1:]} found; sides of boxes in pixels of the picture."
        return Answer(text, picture=render.drawn(small, found, model.labels), rows=rows)

    return Looking(("picture", "text", "rows"), answer, COLUMNS)
