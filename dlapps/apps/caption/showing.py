"""What people see of a captioner: the sentence, and where it looked for each word."""

import numpy as np

from dlapps.apps.caption import render
from dlapps.apps.caption.model import Captioner
from dlapps.apps.caption.predict import Style, asking, drawer, looked, spoken
from dlapps.apps.caption.render import Prediction
from dlapps.data.inputs import Input
from dlapps.data.pictures import UnreadablePictureError, read_picture
from dlapps.data.words import sentence
from dlapps.errors import UserError
from dlapps.showing import Answer, Ask, Looking

COLUMNS = 3  # Of the strip; with more, its words are too small for a phone.


def shown(model: Captioner) -> Looking:
    """Returns how a captioner is shown.

    It computes by itself: to tell where it looked, it must know its words, not the sentence alone.
    """
    told = asking(model, Style())
    # The first call takes long; better now than when somebody waits.
    told(np.zeros((1, model.image_size, model.image_size, 3), np.uint8))
    looks = model.decoder == "attend"

    def answer(file: bytes, ask: Ask) -> Answer:
        try:
            seen = drawer([file], model.image_size)(0)
            image = read_picture(file, render.TILE)
        except UnreadablePictureError as error:
            raise UserError(f"The picture cannot be read: {error}.") from error
        ids, logs = told(seen[None])
        words = spoken(ids[0, 0], model.vocabulary)
        found = Prediction(Input("", file), [(sentence(words), float(logs[0, 0]))], words)
        if not looks or not words:
            return Answer(sentence(words))
        strip = render.strip(image, words, looked(found, model), COLUMNS)
        return Answer(sentence(words), picture=strip)

    return Looking(("text", "picture") if looks else ("text",), answer, alone=True)
