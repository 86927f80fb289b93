import json
from dataclasses import asdict

import httpx
import numpy as np
import pytest

from clip_vectorizer.client import GrounderInfo, VectorizerClient
from clip_vectorizer.errors import InputError, Mismatch, SidecarRefused, SidecarUnreachable
from ingest.proposals import SidecarProposer, find_grounder
from ingest.region_methods import parse_method

HEAD = GrounderInfo("head", "1", fused=False)


class Sidecar:
    """Answers /meta with a grounder, /regions with one box an image, or with `status`."""

    def __init__(self, grounder: GrounderInfo | None = HEAD, status: int = 200, bad: bytes = b"") -> None:
        self.grounder, self.status, self.bad = grounder, status, bad
        self.sizes: list[int] = []
        self.client = VectorizerClient(
            "http://sidecar", transport=httpx.MockTransport(self.respond), busy_waits_seconds=()
        )

    def respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/meta":
            return httpx.Response(200, json={"grounder": asdict(self.grounder) if self.grounder else None})
        images = json.loads(request.content)["images"]
        self.sizes.append(len(images))
        if self.status != 200 and (not self.bad or any("YmFk" in image for image in images)):  # base64 of bad
            return httpx.Response(self.status, json={"error": "the grounder failed"})
        wants_vectors = json.loads(request.content)["vectors"]
        more = {"vectors": [[0.0, 0.6, 0.8]]} if wants_vectors else {}
        return httpx.Response(
            200, json={"regions": [{"boxes": [[0, 0, 0.5, 1]], "objectness": [0.75], **more} for _ in images]}
        )


def test_boxes_come_with_their_objectness() -> None:
    [[box]] = SidecarProposer(Sidecar().client, HEAD).propose([b"image"], 10)  # type: ignore[misc]  # none is refused
    assert (box.box, box.objectness) == ((0, 0, 0.5, 1), 0.75)


def test_regions_of_a_model_in_whose_space_the_images_are_have_its_own_vectors() -> None:
    owl = GrounderInfo("owlv2:x", "1", fused=False, own_vectors=True)
    sidecar = Sidecar(owl)
    assert find_grounder(sidecar.client, parse_method("owlv2:x", 10)) == owl
    [[box]] = SidecarProposer(sidecar.client, owl, own_vectors=True).propose([b"image"], 10)  # type: ignore[misc]
    np.testing.assert_allclose(box.vector_d, [0, 0.6, 0.8])  # type: ignore[arg-type]  # it has one


def test_an_image_on_which_the_model_fails_does_not_spoil_the_others() -> None:
    sidecar = Sidecar(status=500, bad=b"bad")
    found = SidecarProposer(sidecar.client, HEAD).propose([b"one", b"two", b"bad", b"four"], 10)
    assert [isinstance(each, SidecarRefused) for each in found] == [False, False, True, False]


def test_a_busy_sidecar_is_waited_for() -> None:
    with pytest.raises(SidecarUnreachable):
        SidecarProposer(Sidecar(status=503).client, HEAD).propose([b"image"], 10)


def test_a_sidecar_that_finds_other_regions_meanwhile_ends_the_run() -> None:
    with pytest.raises(Mismatch, match="finds regions with head now, and did with dense"):
        SidecarProposer(Sidecar().client, GrounderInfo("dense", "1", fused=False)).propose([b"image"], 10)


def test_what_finds_objects_is_returned() -> None:
    assert find_grounder(Sidecar().client, parse_method("objects", 10)) == HEAD


@pytest.mark.parametrize(
    ("grounder", "method", "words"),
    [
        (None, "objects", "finds no regions; take --regions grid, or --regions boxes"),
        (GrounderInfo("tiles", "1", fused=False), "objects", "has only tiles.*take --regions grid, or --regions boxes"),
        (GrounderInfo("omdet-turbo:x", "1", fused=True), "objects", "only for a phrase"),
        (HEAD, "owlv2:x", "runs another model; for a collection of this one .* serve --model owlv2:x`"),
        (GrounderInfo("owlv2:y", "1", fused=False, own_vectors=True), "owlv2:x", "runs another model"),
        (GrounderInfo("owlv2:x", "1", fused=False), "owlv2:x", "take --regions objects and .* --grounder owlv2:x"),
    ],
)
def test_a_sidecar_that_cannot_find_them_is_refused_with_an_alternative(
    grounder: GrounderInfo | None, method: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        find_grounder(Sidecar(grounder).client, parse_method(method, 10))
