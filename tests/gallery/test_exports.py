"""Chosen images to take away: paths, JSON lines, a zip of thumbnails, a contact sheet."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from clip_vectorizer.gallery.exports import MOST_IMAGES
from clip_vectorizer.gallery.zip_files import MAX_NAME_BYTES, ChosenNames
from tests.gallery.in_process import Answer, fetch_rows, open_pages, read_rows
from tests.stack.conftest import New
from tests.stack.images import png
from tests.stack.support import Stack

NOWHERE = "00000000-0000-0000-0000-000000000000"
HOSTILE = ("../../up.png", "line\nfeed.png", "a/b.png", 'quote".png', "\\\\host\\share.png", "C:evil.png")
JPEG = b"\xff\xd8\xff"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def pages(stack: Stack, examples: str) -> Iterator[TestClient]:
    with open_pages(stack, examples) as client:
        yield client


@pytest.fixture(scope="module")
def owls(pages: TestClient) -> list[Row]:
    return fetch_rows(pages, "/search.json?q=owl&limit=5")


def export(pages: TestClient, kind: str, *ids: str, status: int = 200) -> Answer:
    answer = pages.post("/export", data={"as": kind, "id": list(ids)})
    assert answer.status_code == status, answer.text
    return answer


@pytest.mark.stack
def test_paths_are_in_the_order_of_the_choice_with_a_nul_after_each(pages: TestClient, owls: list[Row]) -> None:
    answer = export(pages, "paths", *(row["id"] for row in owls))

    assert answer.content == b"".join(row["path"].encode() + b"\0" for row in owls)
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.stack
def test_json_lines_are_those_of_a_listing_and_name_what_is_gone(pages: TestClient, owls: list[Row]) -> None:
    rows = read_rows(export(pages, "json", owls[0]["id"], NOWHERE, owls[1]["id"]))

    names = ("path", "id", "label", "caption")
    assert rows[:2] == [{name: row[name] for name in names} for row in owls[:2]]
    assert rows[2] == {"id": NOWHERE, "error": "this image is no longer in the collection"}


@pytest.mark.stack
def test_a_zip_has_the_thumbnail_of_each_image_once(pages: TestClient, owls: list[Row]) -> None:
    first = owls[0]["id"]
    answer = export(pages, "thumbnails", *(row["id"] for row in owls), first, NOWHERE)

    with zipfile.ZipFile(io.BytesIO(answer.content)) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == [*(f"{row['path']}.jpg" for row in owls), "missing.txt"]
        assert all(opened.read(f"{row['path']}.jpg").startswith(JPEG) for row in owls)
        assert NOWHERE in opened.read("missing.txt").decode()


@pytest.mark.stack
def test_a_contact_sheet_has_each_image_and_no_similarity(pages: TestClient, owls: list[Row]) -> None:
    page = export(pages, "sheet", *(row["id"] for row in owls)).text

    assert re.findall(r'<p class="path"><bdi>(.*?)</bdi>', page) == [row["path"] for row in owls]
    assert page.count("data:image/jpeg;base64,") == 5
    assert "similarity" not in page
    assert page.endswith("</html>\n")


@pytest.mark.stack
def test_hostile_paths_stay_inside_of_the_folder_where_a_zip_is_unpacked(stack: Stack, new: New) -> None:
    place = new()
    place.ingest({name: png((number, 0, 0)) for number, name in enumerate(HOSTILE)})
    with open_pages(stack, place.collection) as pages:
        ids = [row["id"] for row in fetch_rows(pages, "/search.json")]
        packed = export(pages, "thumbnails", *ids).content
        paths = export(pages, "paths", *ids).content

    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        names = opened.namelist()
    assert sorted(names) == ["C_evil.png.jpg", "a/b.png.jpg", "host/share.png.jpg", "line_feed.png.jpg",
                             "quote_.png.jpg", "up.png.jpg"]  # fmt: skip
    assert set(paths.decode().split("\0")) == {*HOSTILE, ""}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(), max_size=8))
def test_names_in_a_zip_are_relative_and_each_is_there_once(paths: list[str]) -> None:
    chosen = ChosenNames()
    names = [chosen.choose(path) for path in paths]

    assert len({name.casefold() for name in names}) == len(paths)
    for name in names:
        assert not PurePosixPath(name).is_absolute()
        assert not PureWindowsPath(name).drive
        assert not any(part in ("", ".", "..") or part.endswith((" ", ".")) for part in name.split("/"))
        assert not PureWindowsPath(name).is_reserved()
        assert all(len(part.encode()) < MAX_NAME_BYTES + 10 for part in name.split("/"))


@pytest.mark.stack
@pytest.mark.parametrize(
    ("kind", "ids", "sentence"),
    [
        ("paths", [], "no images are chosen"),
        ("paths", [NOWHERE], "none of the chosen images is in the collection any more"),
        ("paths", ["../../etc/passwd"], "is not the id of an image"),
        ("pdf", [NOWHERE], "is no kind of export; there are paths, json, thumbnails, sheet"),
        ("json", [f"00000000-0000-0000-0000-{n:012}" for n in range(MOST_IMAGES + 1)], "2,000 is the most"),
    ],
    ids=["none", "gone", "no id", "kind", "too many"],
)
def test_what_cannot_be_exported_has_a_sentence(kind: str, ids: list[str], sentence: str, pages: TestClient) -> None:
    assert sentence in export(pages, kind, *ids, status=400).text


@pytest.mark.stack
def test_a_form_of_another_kind_or_size_is_refused(pages: TestClient) -> None:
    assert "send application/x-www-form-urlencoded" in pages.post("/export", json={"id": [NOWHERE]}).text
    assert "choose fewer images" in pages.post("/export", data={"id": ["x" * 600_000]}).text
