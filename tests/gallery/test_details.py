"""The page of one image: what is stored of it, its copies, images like it, and the way to the next result."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.gallery.in_process import fetch, fetch_rows, find_link, find_section, list_cards, open_pages
from tests.stack.conftest import New
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def pages(stack: Stack, examples: str) -> Iterator[TestClient]:
    with open_pages(stack, examples, EXAMPLES) as client:
        yield client


def find_id(pages: TestClient, path: str) -> str:
    [row] = fetch_rows(pages, f"/search.json?where=path%3D{path.replace('/', '%2F')}")
    return str(row["id"])


def test_the_page_of_an_image_has_what_is_stored_of_it(pages: TestClient) -> None:
    page = fetch(pages, f"/image/{find_id(pages, 'fruit/lemon.png')}")

    assert '<dt>mime</dt><dd dir="auto">image/png</dd>' in page
    assert f'<dd dir="auto">{(EXAMPLES / "fruit/lemon.png").stat().st_size}</dd>' in page


def test_the_row_of_neighbours_is_the_search_for_images_like_it(pages: TestClient) -> None:
    page = fetch(pages, f"/image/{find_id(pages, 'fruit/lemon.png')}")
    rows = fetch_rows(pages, "/search.json?like=fruit%2Flemon.png&dedupe=1&limit=12")

    assert list_cards(find_section(page, "neighbours")) == [row["path"] for row in rows]


def test_next_goes_through_all_results_over_the_ends_of_pages_and_previous_back(pages: TestClient) -> None:
    paths = [row["id"] for row in fetch_rows(pages, "/search.json?q=owl&limit=7")]
    walked: list[str] = []
    address = f"/image/{paths[0]}?q=owl&limit=3"
    while len(walked) < 7:
        walked.append(address)
        address = find_link(fetch(pages, address), "next")
    back = [walked[-1]]
    while address := find_link(fetch(pages, back[-1]), "previous"):
        back.append(address)

    assert [each.split("/")[2].split("?")[0] for each in walked] == paths
    assert [each.split("/")[2].split("?")[0] for each in back] == paths[::-1]


def test_results_that_are_gone_leave_the_page_and_a_sentence(pages: TestClient) -> None:
    page = fetch(pages, f"/image/{find_id(pages, 'fruit/lemon.png')}?image=sha256:{'0' * 64}")

    assert "drop the picture again" in page
    assert find_section(page, "neighbours")


def test_equal_images_and_near_duplicates_have_rows_of_their_own(stack: Stack, new: New) -> None:
    lemon, cat = (EXAMPLES / "fruit/lemon.png").read_bytes(), (EXAMPLES / "animals/cat.png").read_bytes()
    place = new()
    place.ingest({"a.png": lemon, "b.png": lemon, "smaller.png": shrink(lemon), "cat.png": cat})
    with open_pages(stack, place.collection) as pages:
        page = fetch(pages, f"/image/{find_id(pages, 'a.png')}")

    assert list_cards(find_section(page, "copies")) == ["b.png"]
    assert list_cards(find_section(page, "near")) == ["smaller.png"]
    assert list_cards(find_section(page, "neighbours")) == ["smaller.png", "cat.png"]


def shrink(data: bytes) -> bytes:
    file = io.BytesIO()
    with Image.open(io.BytesIO(data)) as opened:
        opened.convert("RGBA").resize((80, 80)).save(file, "PNG")
    return file.getvalue()


def test_an_image_that_does_not_exist_is_404_with_a_sentence(pages: TestClient) -> None:
    assert "holds no image" in fetch(pages, "/image/00000000-0000-0000-0000-000000000000", 404)
    assert "is not the id of an image" in fetch(pages, "/image/cat.png", 404)
