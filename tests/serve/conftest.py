import os

import pytest


@pytest.fixture(autouse=True)
def own_folder(monkeypatch):
    """Gradio's folder is one for the whole process; a second server must not leave its own."""
    if "GRADIO_TEMP_DIR" in os.environ:
        monkeypatch.setenv("GRADIO_TEMP_DIR", os.environ["GRADIO_TEMP_DIR"])
