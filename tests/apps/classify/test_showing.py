import numpy as np

from dlapps.apps.classify import showing


def test_shows_each_label_with_its_probability():
    labels = np.array([["käse".encode(), b"dog"]], object)
    said = {"labels": labels, "probabilities": np.array([[0.75, 0.25]], np.float32)}
    answer = showing.shown(None).answer(b"", lambda: said)
    assert answer.classes == {"käse": 0.75, "dog": 0.25}
