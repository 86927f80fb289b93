"""Forms that bring a picture, or none, to a gallery without a database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from clip_vectorizer.gallery.pages import Gallery
from clip_vectorizer.gallery.uploads import AT_ONCE, MAX_UPLOAD_BYTES
from tests.gallery.offline import FakeConnection, FakeImages, encode, open_client, request

MB = 2**20
HUGE_BYTES = 100 * MB


def test_no_more_of_a_form_is_read_than_a_picture_may_have() -> None:
    """Neither into memory nor into a temporary file."""
    read = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="huge.png"\r\n\r\n'
        while read < HUGE_BYTES:
            read += MB
            yield bytes(MB)

    form = {"Content-Type": "multipart/form-data; boundary=x", "X-Fragment": "path"}
    answer = request("POST", "/image", headers=form, content=pieces())
    assert answer.status_code == 400 and "25 MB" in answer.json()["error"]
    assert read <= MAX_UPLOAD_BYTES + 2 * MB


MULTIPART = "multipart/form-data; boundary=x"
PART = b"--x\r\nContent-Disposition: form-data; name=%s\r\n\r\nwords\r\n"
END = b"--x--\r\n"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        *((body, MULTIPART) for body in (b"", b"--x\r\n", b"nonsense")),
        (b"x", "multipart/form-data"),
        (b"image=cat.png", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (PART % b"image" + END, MULTIPART),
        (PART % b'"other"; filename="a.png"' + END, MULTIPART),
        (PART % b"f" * 20 + END, MULTIPART),
    ],
)
def test_a_form_without_a_picture_is_refused_with_a_sentence(body: bytes, kind: str) -> None:
    answer = request("POST", "/image", headers={"Content-Type": kind, "X-Fragment": "path"}, content=body)
    assert answer.status_code == 400
    assert len(answer.json()["error"]) > 20


def test_more_pictures_at_once_than_are_read_are_refused_for_now() -> None:
    gallery = Gallery(FakeConnection(SlowImages()))

    async def send_all() -> list[httpx.Response]:
        async with open_client(gallery) as client:
            files = [encode(side=side) for side in range(16, 16 + AT_ONCE + 2)]
            sends = (client.post("/image", files={"image": ("a.png", data)}, headers=SCRIPT) for data in files)
            answers = await asyncio.gather(*sends)
            again = await client.post("/image", files={"image": ("a.png", files[-1])}, headers=SCRIPT)
            return [*answers, again]

    *first, again = asyncio.run(send_all())
    statuses = [each.status_code for each in first]
    assert sorted(statuses) == [200] * AT_ONCE + [503] * 2
    assert all("moment" in each.json()["error"] for each in first if each.status_code == 503)
    assert again.status_code == 200


SCRIPT = {"X-Fragment": "path"}


class SlowImages(FakeImages):
    async def embed(self, *arguments: object, **more: object) -> object:
        await asyncio.sleep(0.2)
        return await super().embed(*arguments, **more)


def test_a_picture_is_not_compared_with_vectors_of_another_model() -> None:
    """The sidecar may be another one since: the picture must be sent again, and then counts."""
    images = FakeImages()
    gallery = Gallery(FakeConnection(images))

    async def search_before_and_after() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        async with open_client(gallery) as client:
            sent = await client.post("/image", files={"image": ("a.png", encode())}, headers=SCRIPT)
            before = await client.get(sent.json()["path"])
            images.info = replace(images.info, model="other", revision="0123")
            refused = await client.get(sent.json()["path"])
            await client.post("/image", files={"image": ("a.png", encode())}, headers=SCRIPT)
            return before, refused, await client.get(sent.json()["path"])

    before, refused, again = asyncio.run(search_before_and_after())
    assert (before.status_code, refused.status_code, again.status_code) == (200, 409, 200)
    assert "send the picture" in refused.text and "other (revision 0123" in refused.text
    assert images.embedded == 2
