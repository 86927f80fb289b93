"""POST /caption, by a captioner that needs no weights."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from PIL import Image

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.server.captioning import BATCH
from clip_vectorizer.server.settings import parse_settings
from tests.server.captioners import MiddleCaptioner, captioning_client, describe
from tests.server.clients import RED, base64_of, file_of, send

RED_CAPTION = describe(Image.new("RGB", (6, 6), "red"))


def picture(number: int) -> Image.Image:
    return Image.new("RGB", (10 + number, 8), (number, 0, 0))


def caption(
    *requests: Sequence[bytes], captioner: MiddleCaptioner | None = None, **limits: Any
) -> list[httpx.Response]:
    """Send all requests at once."""

    async def answers() -> list[httpx.Response]:
        async with captioning_client(captioner or MiddleCaptioner(), **limits) as client:
            sent = (client.post("/caption", json={"images": list(map(base64_of, images))}) for images in requests)
            return list(await asyncio.gather(*sent))

    return asyncio.run(answers())


def test_each_image_gets_its_caption_in_order() -> None:
    pictures = [picture(number) for number in range(5)]
    [answer] = caption(list(map(file_of, pictures)))
    assert answer.json() == {"captions": [describe(each) for each in pictures]}


def test_pictures_of_several_requests_go_together() -> None:
    captioner = MiddleCaptioner()
    files = [file_of(picture(number)) for number in range(12)]
    answers = caption(files, files, captioner=captioner)
    assert answers[0].json() == answers[1].json()
    assert sum(captioner.batches) == 24 and 1 < max(captioner.batches) <= BATCH


def test_a_picture_that_the_captioner_cannot_describe_spoils_no_other_request() -> None:
    def refuse_wide(image: Image.Image) -> None:
        if image.width == 11:
            raise ValueError("too wide")

    bad, good = caption([file_of(picture(0)), file_of(picture(1))], [RED], captioner=MiddleCaptioner(refuse_wide))
    assert bad.status_code == 500
    assert bad.json()["error"] == "images[1]: the captioner failed: too wide; send the other items again without it"
    assert good.json() == {"captions": [RED_CAPTION]}


def test_every_unreadable_image_is_listed_and_the_first_one_is_the_error() -> None:
    [answer] = caption([RED, b"no image", RED, b""])
    body = answer.json()
    assert answer.status_code == 422 and body["item"]["index"] == 1
    assert body["error"].startswith("images[1]: ") and set(body["refused"]) == {"1", "3"}


def test_without_a_captioner_the_route_names_the_way_out() -> None:
    answer = send("POST", "/caption", json={"images": [base64_of(RED)]})
    assert answer.status_code == 501
    assert "--captioner transformers:PATH or coca:ARCHITECTURE::TAG (CLIP_CAPTIONER)" in answer.json()["error"]
    assert send("GET", "/meta").json()["captioner"] is None


def test_meta_describes_the_captioner() -> None:
    async def meta() -> Any:
        async with captioning_client(MiddleCaptioner()) as client:
            return (await client.get("/meta")).json()["captioner"]

    assert asyncio.run(meta()) == {"name": "middle", "revision": "1" * 16}


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"images": "x"}, 400, 'images is a string; send {"images": [...]}'),
        ({"images": ["x"] * 257}, 413, "257 images; one request takes 256 (CLIP_MAX_IMAGES): send several"),
    ],
)
def test_a_body_that_does_not_follow_the_protocol_is_refused(body: Any, status: int, sentence: str) -> None:
    answer = send("POST", "/caption", json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, sentence)


def test_no_images_get_no_captions() -> None:
    [answer] = caption([])
    assert answer.json() == {"captions": []}


def test_a_name_that_is_none_is_refused_when_the_settings_are_read() -> None:
    with pytest.raises(SettingsError, match="CLIP_CAPTIONER='blip': expected none, coca:"):
        parse_settings({"CLIP_CAPTIONER": "blip"})
    assert parse_settings({"CLIP_CAPTIONER": " transformers:org/blip "}).captioner == "transformers:org/blip"
