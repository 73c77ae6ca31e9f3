"""What docs/serving.md says is what the server takes."""

import base64
import io
import json
import re
from pathlib import Path

import pytest
import yaml

from dlapps.serve import models
from tests.apps.classify.shapes import draw
from tests.serve.running import running

PAGE = (Path(__file__).parents[1] / "docs" / "serving.md").read_text()
BODIES = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)


@pytest.mark.slow
def test_the_server_takes_the_bodies_on_the_page():
    file = io.BytesIO()
    draw("disc", 1).save(file, "JPEG")
    picture = base64.b64encode(file.getvalue()).decode()
    assert len(BODIES) == 3
    with running(models.load(["imagenet", "shakespeare"], trust=False).values()) as client:
        rows, column, text = (json.loads(body.replace("PICTURE", picture)) for body in BODIES)
        status, found = client.predict(rows, "imagenet")
        assert status == 200, found
        assert len(found["predictions"][0]["labels"]) == 5
        status, found = client.predict(column, "imagenet")
        assert status == 200, found
        assert len(found["outputs"]["probabilities"][0]) == 1000
        status, found = client.predict(text, "shakespeare")
        assert status == 200, found
        assert len(found["predictions"][0]["texts"]) == 200


def test_the_manifest_is_one():
    (manifest,) = (
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    )
    assert manifest["kind"] == "InferenceService"
    assert manifest["spec"]["predictor"]["model"]["modelFormat"]["name"] == "tensorflow"
