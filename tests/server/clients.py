"""Requests to the real app, without a socket or with one."""

import asyncio
import base64
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from PIL import Image

from clip_vectorizer.models.captioning.captioner import Captioner
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.catalog import load_grounder
from clip_vectorizer.server.app import create_app
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings
from clip_vectorizer.server.startup import build_config, format_url, listen
from tests.fakes import HashEncoder

ORIGIN = "http://sidecar"


def client_of(encoder: Encoder | None = None, settings: Settings | None = None, **limits: Any) -> httpx.AsyncClient:
    """A client of a new app; `limits` as in Limits."""
    app = create_app(settings or Settings(limits=Limits(**limits)), encoder or HashEncoder())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app, raise_app_exceptions=False), base_url=ORIGIN)


def send(method: str, path: str, encoder: Encoder | None = None, **request: Any) -> httpx.Response:
    """Send one request to a new app; keyword arguments that are no limits go to httpx."""
    names = Limits.__dataclass_fields__
    limits = {name: request.pop(name) for name in list(request) if name in names}
    settings = request.pop("settings", None)

    async def answer() -> httpx.Response:
        async with client_of(encoder, settings, **limits) as client:
            return await client.request(method, path, **request)

    return asyncio.run(answer())


def vectorize(encoder: Encoder | None = None, **request: Any) -> httpx.Response:
    return send("POST", "/vectorize", encoder, **request)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


RED = file_of(Image.new("RGB", (6, 6), "red"))


@dataclass
class Running:
    """A real server on a real socket, in a thread of this process."""

    url: str
    port: int

    def line(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@contextmanager
def serving(encoder: Encoder | None = None, writer: Captioner | None = None, **settings: Any) -> Iterator[Running]:
    """Run a server; `settings` are fields of Settings or of Limits; `writer` writes captions."""
    limits = {name: settings.pop(name) for name in list(settings) if name in Limits.__dataclass_fields__}
    chosen = Settings(limits=Limits(**limits), **settings)
    service = Service(chosen.limits)
    model = encoder or HashEncoder()
    service.use(model, grounder=load_grounder(chosen.grounder, model), captioner=writer)
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = uvicorn.Server(build_config(service, chosen))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield Running(format_url(listener), port)
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
        listener.close()


def read_all(line: socket.socket) -> bytes:
    """Read until the other side closes the connection."""
    pieces = []
    while piece := line.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)
