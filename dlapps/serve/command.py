"""The command `dlapps serve`."""

import ipaddress
from pathlib import Path

import click

from dlapps import terminal
from dlapps.errors import UserError, reason
from dlapps.options import Option

MEGA = 1_000_000


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--host", cls=Option, default="127.0.0.1", show_default=True,
    help="Address to listen on; the default is reached from this machine alone.",
)  # fmt: skip
@click.option(
    "--port", cls=Option, type=click.IntRange(0, 65535), default=8501, show_default=True,
    help="Port to listen on, TensorFlow Serving's by default.",
)  # fmt: skip
@click.option(
    "--api-key-file", "key_file", cls=Option, type=click.Path(dir_okay=False), metavar="FILE",
    help="Clients must show the token in this file: Authorization: Bearer TOKEN.",
)  # fmt: skip
@click.option(
    "--max-batch", cls=Option, type=click.IntRange(min=1), default=32, show_default=True,
    help="Rows computed at once.",
)  # fmt: skip
@click.option(
    "--max-waiting", cls=Option, type=click.IntRange(min=1), default=256, show_default=True,
    help="Rows that may wait; more are refused with status 429.",
)  # fmt: skip
@click.option(
    "--max-body", cls=Option, type=click.IntRange(min=1), default=32, show_default=True,
    help="Megabytes of a request.",
)  # fmt: skip
@click.option(
    "--max-pixels", cls=Option, type=click.IntRange(min=1), default=25, show_default=True,
    help="Million pixels of a picture.",
)  # fmt: skip
@click.option(
    "--max-length", cls=Option, type=click.IntRange(min=1), default=2000, show_default=True,
    help="Characters to write for a prompt.",
)  # fmt: skip
@click.option(
    "--ui", cls=Option, is_flag=True,
    help="Add a page at /ui/ for people: drop a picture, type a prompt. With --api-key-file the "
    "browser asks for a password: the token, under any name.",
)  # fmt: skip
@click.option(
    "--trust", cls=Option, is_flag=True,
    help="Load SavedModels, legacy .h5 files and Lambda layers too. They may run code or write "
    "files, so say it only of your own exports, or of what you trust the makers of.",
)  # fmt: skip
def serve(
    runs: tuple[str, ...], host: str, port: int, key_file: str | None, max_batch: int,
    max_waiting: int, max_body: int, max_pixels: int, max_length: int, ui: bool, trust: bool,
) -> None:  # fmt: skip
    """Answer requests over HTTP, in the way of TensorFlow Serving.

    RUN is a run folder, a .keras file, the name of a built-in model, or with --trust the folder
    of a SavedModel; NAME=RUN gives it another name.

    \b
    Examples:
      dlapps serve imagenet shakespeare
      dlapps serve flowers=runs/classify/flowers-1 --port 8501
      dlapps serve imagenet coco flickr8k shakespeare --ui
      curl http://127.0.0.1:8501/v1/models/flowers
    """
    key = _key(key_file)
    try:
        with terminal.quiet():
            import fastapi  # noqa: F401
            import prometheus_client  # noqa: F401
            import uvicorn  # noqa: F401

            if ui:
                import gradio  # noqa: F401
    except ImportError as error:
        extra = "ui" if ui else "serve"
        raise UserError(
            f"The package {error.name} is missing. Install it: pip install 'dlapps[{extra}]'"
        ) from error
    with terminal.quiet():
        from dlapps.serve import models, server
        from dlapps.serve.predictor import Settings
        from dlapps.serving import Limits

        served = models.load(runs, trust, shown=ui)
        extend = None
        if ui:
            from dlapps.serve import ui as page

            extend = page.add
    limits = Limits(pixels=max_pixels * MEGA, length=max_length)
    settings = Settings(max_batch, max_waiting, max_body * MEGA, limits=limits, key=key)
    if not key and not _is_loopback(host):
        terminal.note(
            f"WARNING: whoever reaches {host} can use these models, for no token is asked for. "
            "--api-key-file FILE asks for one; TLS is a proxy's work."
        )
    with server.listening(host, port) as place:
        number = place.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        where = f"http://{shown}:{number}/"
        page_line = f"  Page: {where}ui/" if ui else ""
        terminal.note(f"Serving {', '.join(served)} at {where}{page_line}  Stop: Ctrl-C")
        server.serve(served, settings, place, extend)


def _key(key_file: str | None) -> str:
    if key_file is None:
        return ""
    try:
        key = Path(key_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{key_file} cannot be read: {reason(error)}.") from error
    if len(key) < 16 or any(character.isspace() for character in key):
        raise UserError(
            f"{key_file} must hold one token of at least 16 characters, such as from: "
            "openssl rand -hex 32"
        )
    return key


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
