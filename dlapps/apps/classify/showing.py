"""What people see of a classifier: the likeliest labels."""

from dlapps.apps.classify.model import ImageClassifier
from dlapps.showing import Answer, Ask, Looking


def shown(model: ImageClassifier) -> Looking:
    """Returns how a classifier is shown."""

    def answer(file: bytes, ask: Ask) -> Answer:
        said = ask()
        labels = [label.decode() for label in said["labels"][0]]
        return Answer(classes=dict(zip(labels, said["probabilities"][0].tolist(), strict=True)))

    return Looking(("classes",), answer)
