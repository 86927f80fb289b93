"""A captioner without weights: the caption of a picture is its middle pixel and its size."""

from collections.abc import Callable, Sequence

import httpx
from PIL import Image

from clip_vectorizer.models.captioning.captioner import CaptionerInfo
from clip_vectorizer.server.app import build_app
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings
from tests.fakes import HashEncoder
from tests.server.clients import ORIGIN

INFO = CaptionerInfo("middle", "1" * 16)


class MiddleCaptioner:
    """Notes how many pictures each call had, and fails where `spoil` raises for a picture."""

    info = INFO

    def __init__(self, spoil: Callable[[Image.Image], None] = lambda _image: None) -> None:
        self.batches: list[int] = []
        self._spoil = spoil

    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        self.batches.append(len(images))
        for image in images:
            self._spoil(image)
        return [describe(image) for image in images]


def describe(image: Image.Image) -> str:
    return f"{image.getpixel((image.width // 2, image.height // 2))} of {image.width} x {image.height}"


def captioning_client(captioner: MiddleCaptioner, **limits: int) -> httpx.AsyncClient:
    settings = Settings(limits=Limits(**limits))
    service = Service(settings.limits)
    service.use(HashEncoder(), captioner=captioner)
    transport = httpx.ASGITransport(app=build_app(service, settings), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN)
