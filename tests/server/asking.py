"""Asks the real app without a socket."""

import asyncio
import base64
import io
from typing import Any

import httpx
from PIL import Image

from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.server.app import create_app
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.settings import Settings
from tests.fakes import HashEncoder

ORIGIN = "http://sidecar"


def client_of(encoder: Encoder | None = None, settings: Settings | None = None, **limits: Any) -> httpx.AsyncClient:
    """A client of an app of its own; `limits` as in Limits."""
    app = create_app(settings or Settings(limits=Limits(**limits)), encoder or HashEncoder())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app, raise_app_exceptions=False), base_url=ORIGIN)


def ask(method: str, path: str, encoder: Encoder | None = None, **request: Any) -> httpx.Response:
    """One request to an app of its own; what is not a limit goes to httpx."""
    names = Limits.__dataclass_fields__
    limits = {name: request.pop(name) for name in list(request) if name in names}
    settings = request.pop("settings", None)

    async def answer() -> httpx.Response:
        async with client_of(encoder, settings, **limits) as client:
            return await client.request(method, path, **request)

    return asyncio.run(answer())


def vectorize(encoder: Encoder | None = None, **request: Any) -> httpx.Response:
    return ask("POST", "/vectorize", encoder, **request)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


RED = file_of(Image.new("RGB", (6, 6), "red"))
