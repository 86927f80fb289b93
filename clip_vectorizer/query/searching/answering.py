"""Who answers the steps of a search: the sidecar embeds, Weaviate finds."""

from collections.abc import Sequence
from typing import Any, Protocol

from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.query.pictures import embedded_picture
from clip_vectorizer.query.searching.calls import Searched
from clip_vectorizer.query.searching.steps import Call, EmbedImage, EmbedTexts, Step
from clip_vectorizer.vectors import Vectors


class Sidecar(Protocol):
    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


class ImageStore(Protocol):
    @property
    def searched(self) -> Searched: ...
    def ask(self, call: Call) -> Any: ...


def embed(step: EmbedTexts | EmbedImage, sidecar: Sidecar) -> Vectors:
    """(N, D) for texts, (D,) for an image. Raises InputError for an image that cannot be read."""
    match step:
        case EmbedTexts(texts):
            return sidecar.embed_texts(texts)
        case EmbedImage(image):
            return embedded_picture(image, sidecar)


def answer(step: Step, sidecar: Sidecar, images: ImageStore) -> Any:
    return images.ask(step) if isinstance(step, Call) else embed(step, sidecar)
