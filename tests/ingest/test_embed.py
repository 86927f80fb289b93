from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pytest

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import Mismatch, SidecarRefused, SidecarUnreachable
from clip_vectorizer.vectors import Vectors
from ingest.embed import SidecarEmbedder
from tests.ingest.fakes import MODEL

OTHER = StoredModel("other", "2", 3, "none")


@dataclass
class FakeSidecar:
    """A client's two methods: an image of n bytes has the vector (n,)."""

    refuse: Callable[[Sequence[bytes]], SidecarRefused | None] = lambda _: None
    model: StoredModel = MODEL
    sizes: list[int] = field(default_factory=list)
    url: str = "http://sidecar"

    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors]:
        self.sizes.append(len(images))
        if refusal := self.refuse(images):
            raise refusal
        return [np.array([len(image)], dtype=np.float32) for image in images]

    def meta(self) -> StoredModel:
        return self.model


def embedded(sidecar: FakeSidecar, *images: bytes) -> list[object]:
    outcomes = SidecarEmbedder(cast(VectorizerClient, sidecar), MODEL).embed(images)
    return [each.status if isinstance(each, SidecarRefused) else int(each[0]) for each in outcomes]


def fails_on(bad: bytes, status: int) -> Callable[[Sequence[bytes]], SidecarRefused | None]:
    return lambda images: SidecarRefused(status, "the model failed") if bad in images else None


def test_every_image_gets_its_own_vector_in_one_request() -> None:
    sidecar = FakeSidecar()
    assert embedded(sidecar, b"a", b"bb", b"ccc") == [1, 2, 3] and sidecar.sizes == [3]


@pytest.mark.parametrize("place", range(5))
def test_an_image_that_the_model_fails_on_takes_no_other_with_it(place: int) -> None:
    images = [b"x" * (number + 1) for number in range(5)]
    expected: list[object] = [1, 2, 3, 4, 5]
    expected[place] = 500
    assert embedded(FakeSidecar(fails_on(images[place], 500)), *images) == expected


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_sidecar_is_waited_for_like_one_that_is_away(status: int) -> None:
    with pytest.raises(SidecarUnreachable, match="the model failed"):
        embedded(FakeSidecar(fails_on(b"a", status)), b"a", b"b")


def test_a_refusal_that_is_about_no_image_ends_the_run() -> None:
    with pytest.raises(SidecarRefused):
        embedded(FakeSidecar(fails_on(b"a", 401)), b"a", b"b")


def test_vectors_of_another_model_are_never_returned() -> None:
    with pytest.raises(
        Mismatch, match=r"http://sidecar runs other .* now and ran mean-colour .*no vector of it was stored"
    ):
        embedded(FakeSidecar(model=OTHER), b"a")
