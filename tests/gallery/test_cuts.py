"""Boxes: those of regions are drawn over pictures, and one that is dragged or typed is a search by that part."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import expect
from starlette.testclient import TestClient

from ingest.cli import main as ingest_command
from tests.gallery.conftest import Visit
from tests.gallery.in_process import Answer, fetch, fetch_rows, list_cards, open_pages
from tests.stack.scenes import QUARTERS, SIDE, save_scenes
from tests.stack.support import Stack, fresh_collection, run_inside

pytestmark = pytest.mark.stack

SCENES: dict[str, list[str | None]] = {
    "first": ["fruit/banana", "animals/cat", "vehicles/police-car", "tools/hammer"],
    "second": ["animals/dog-face", "fruit/red-apple", "birds/owl", "clothes/purse"],
    "third": ["birds/penguin", "fruit/lemon", "animals/horse", "vehicles/tractor"],
}
SAME_PART = 0.9  # least similarity of a part and the region that has the same box


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_scenes(tmp_path_factory.mktemp("scenes"), **SCENES)


@pytest.fixture(scope="module")
def scenes(stack: Stack, folder: Path) -> Iterator[str]:
    for name in fresh_collection(stack):
        run_inside(ingest_command, stack.env, folder, "--regions", "grid=2x2", "--collection", name)
        yield name
        stack.weaviate("DELETE", f"/v1/schema/{name}Region").raise_for_status()


@pytest.fixture(scope="module")
def pages(stack: Stack, scenes: str, folder: Path) -> Iterator[TestClient]:
    with open_pages(stack, scenes, folder) as client:
        yield client


def find_id(pages: TestClient, path: str) -> str:
    [row] = fetch_rows(pages, f"/search.json?where=path%3D{path}")
    return str(row["id"])


def cut(pages: TestClient, id: str, box: tuple[float, ...], **more: str) -> Answer:
    percent = dict(zip(("x0", "y0", "x1", "y1"), (f"{100 * side:g}" for side in box), strict=True))
    return pages.post("/cut", data={"id": id, **percent, **more}, follow_redirects=False)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("box", QUARTERS, ids=str)
def test_a_part_of_a_picture_finds_its_picture_first_by_the_region_that_it_is(
    name: str, box: tuple[float, ...], pages: TestClient
) -> None:
    answer = cut(pages, find_id(pages, f"{name}.png"), box, regions="all")
    assert answer.status_code == 303
    rows = fetch_rows(pages, answer.headers["location"].replace("/?", "/search.json?"))

    assert rows[0]["path"] == f"{name}.png"
    assert rows[0]["regions"][0]["box"] == pytest.approx(box, abs=0.01)
    assert rows[0]["similarity"] > SAME_PART


def test_what_is_cut_out_has_the_size_of_the_box(pages: TestClient) -> None:
    answer = cut(pages, find_id(pages, "first.png"), (0.25, 0, 0.75, 0.25))
    [key] = parse_qs(urlsplit(answer.headers["location"]).query)["image"]

    with Image.open(io.BytesIO(pages.get(f"/upload/{key.removeprefix('sha256:')}").content)) as thumbnail:
        assert thumbnail.size == (SIDE / 2, SIDE / 4)


def test_without_the_file_the_stored_picture_or_the_thumbnail_is_cut(stack: Stack, scenes: str) -> None:
    with open_pages(stack, scenes) as pages:
        answer = cut(pages, find_id(pages, "second.png"), (0, 0, 1, 1))
        cards = list_cards(fetch(pages, answer.headers["location"]))

    assert cards[0] == "second.png"


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        ((0.5, 0, 0.5, 1), "has no area"),
        ((0.6, 0, 0.5, 1), "has no area"),
        ((-0.1, 0, 0.5, 1), "left &#39;-10&#39;: expected a number from 0 to 100"),
        ((0, 0, 0.5, 1.5), "bottom &#39;150&#39;"),
        ((0, 0, float("nan"), 1), "right &#39;nan&#39;"),
        ((0, 0, float("inf"), 1), "right &#39;inf&#39;"),
    ],
)
def test_what_is_no_box_has_a_sentence(box: tuple[float, ...], sentence: str, pages: TestClient) -> None:
    answer = cut(pages, find_id(pages, "first.png"), box)

    assert answer.status_code == 400
    assert sentence in answer.text


def test_frames_are_drawn_around_the_regions_that_were_found(pages: TestClient) -> None:
    page = fetch(pages, "/?q=an+owl&regions=all&limit=1")
    rows = fetch_rows(pages, "/search.json?q=an+owl&regions=all&limit=1")

    drawn = re.findall(r'<rect class="line (?:best|other)" x="([^"]+)" y="([^"]+)"', page)
    [width, height] = map(float, re.findall(r'class="frames" viewBox="0 0 (\d+) (\d+)"', page)[0])
    corners = {(round(float(x) / width, 2), round(float(y) / height, 2)) for x, y in drawn}
    assert corners == {(round(each["box"][0], 2), round(each["box"][1], 2)) for each in rows[0]["regions"]}


def test_all_regions_of_an_image_are_on_its_page(pages: TestClient) -> None:
    page = fetch(pages, f"/image/{find_id(pages, 'third.png')}")

    assert page.count('<rect class="line') == len(QUARTERS)
    assert "4 regions of this image" in page


def test_a_box_that_is_dragged_over_a_picture_is_searched(visit: Visit) -> None:
    visitor = visit("/?like=animals/cat.png&limit=1")
    visitor.page.locator(".card a.picture").first.click()
    name = visitor.page.locator("main h2").first.inner_text()
    place = visitor.page.locator("#cut-area img").bounding_box()
    assert place is not None

    visitor.page.mouse.move(place["x"] + 2, place["y"] + 2)
    visitor.page.mouse.down()
    visitor.page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    visitor.page.mouse.move(place["x"] + place["width"] - 2, place["y"] + place["height"] - 2)
    visitor.page.mouse.up()
    visitor.page.wait_for_url(re.compile("image=sha256"))

    expect(visitor.first).to_have_attribute("data-path", name)
