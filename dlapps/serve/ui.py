"""The page for people, made with gradio: a tab for each model, and nothing from elsewhere."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from dlapps.serve import tabs
from dlapps.serve.api import PLACE
from dlapps.serve.gate import Gate
from dlapps.serve.predictor import Predictor

WAITING = 32  # requests; more are told to come again
# Pictures are thrown away when they are so old; looked for as often.
AGE = 600  # seconds
FONT = ("system-ui", "sans-serif")  # Gradio's own come from elsewhere, or as files.
CSS = """
.gradio-container { width: 100% !important; max-width: 70rem !important; margin: 0 auto; }
.note { color: var(--error-icon-color); font-weight: 600; }
.rows { overflow-x: auto; }
.rows table { border: 0 !important; width: 100%; font-variant-numeric: tabular-nums; }
.rows table :is(th, td) { border: 0 !important; padding: .3rem .4rem !important; }
.rows table :is(th, td) { white-space: nowrap; word-break: normal; }
.rows table :is(th, td):not(:first-child) { text-align: right; }
.rows table tr { border: 0 !important; border-bottom: 1px solid #8885 !important; }
.sentence div { font-size: 1.15rem; }
"""


def add(app: FastAPI, predictor: Predictor) -> None:
    """Adds the page to an application.

    Args:
        app: What it is added to.
        predictor: What answers.
    """
    folder = tempfile.TemporaryDirectory(prefix="dlapps-")
    place = Path(folder.name).resolve()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(place)
    # Without a loop that runs, gradio makes one after the other and closes none.
    asyncio.run(_mounted(app, predictor))
    app.add_middleware(Gate, PLACE, place, predictor.settings)
    within = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        with folder:
            async with within(app) as state:
                yield state

    app.router.lifespan_context = lifespan


async def _mounted(app: FastAPI, predictor: Predictor) -> None:
    blocks = page(predictor)
    gr.mount_gradio_app(
        app, blocks, PLACE, allowed_paths=[], show_error=False, ssr_mode=False, mcp_server=False,
        max_file_size=predictor.settings.max_body, footer_links=[], run_history=False, pwa=False,
        theme=gr.themes.Default(font=FONT, font_mono=FONT), css=CSS,
    )  # fmt: skip
    # Gradio looks whether a file is one of its own only when it was started by itself.
    blocks.has_launched = True


def page(predictor: Predictor) -> gr.Blocks:
    """Returns the page, not yet added to an application."""
    with gr.Blocks(
        title="dlapps", analytics_enabled=False, delete_cache=(AGE, AGE), fill_width=True
    ) as blocks:
        gr.Markdown("# dlapps")
        with gr.Tabs():
            for model in predictor.models.values():
                with gr.Tab(model.name):
                    tabs.fill(model, predictor)
    blocks.queue(max_size=WAITING, api_open=False)
    return blocks
