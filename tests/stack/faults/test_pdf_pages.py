"""clip-ingest --regions corners on PDF files, killed, without its database for a while, and with broken files among
them: every page and all of its four corners are there exactly once."""

import io
import signal
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest

from clip_vectorizer.boxes import CORNERS
from tests.ingest.sources.pdf_files import filled, pdf
from tests.stack.faults.conftest import NewJob
from tests.stack.faults.database import Vector, assert_same, count, held, rows, vector
from tests.stack.faults.jobs import Job, summary
from tests.stack.faults.servers import World

pytestmark = pytest.mark.stack

PAGES, SECRET_PAGES = 10, 2
PACE_SECONDS = 0.02  # a crop
SIDES = ((0, 0), (150, 0), (0, 65), (150, 65))  # where each corner has a colour of its own
BROKEN = {"cut.pdf": "broken PDF file", "none.pdf": "without pages", "secret.pdf": "needs a password"}


def draw_pages(first: int, pages: int) -> bytes:
    """No two corners of all pages are equal, so neither are their vectors."""
    contents = []
    for number in range(first, first + pages):
        shades = [f"{corner / 4:.2f} {number % 4 / 4:.2f} {number / 20:.2f}" for corner in range(4)]
        fills = [filled(shade, *place, 20 + 2 * number, 30) for shade, place in zip(shades, SIDES, strict=True)]
        contents.append(b"".join(fills))
    return pdf(*contents)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good files, and between them by name one of each broken kind."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "a.pdf").write_bytes(draw_pages(0, PAGES - 2))
    (folder / "cut.pdf").write_bytes(draw_pages(0, 1)[:60])
    (folder / "none.pdf").write_bytes(pdf())
    with pikepdf.open(io.BytesIO(draw_pages(PAGES, SECRET_PAGES))) as plain:
        plain.save(folder / "secret.pdf", encryption=pikepdf.Encryption(owner="geheim", user="geheim"))
    (folder / "z.pdf").write_bytes(draw_pages(PAGES - 2, 2))
    return folder


@pytest.fixture
def corners(job: NewJob, world: World, scans: Path) -> Iterator[Job]:
    each = job("client", scans, "--regions", "corners", "--dpi", "36")
    yield each
    each.end()
    world.truth.weaviate("DELETE", f"/v1/schema/{each.collection}Region")


def name_pages(file: str, pages: int) -> set[str]:
    return {f"{file}#page={number}" for number in range(1, pages + 1)}


GOOD = name_pages("a.pdf", PAGES - 2) | name_pages("z.pdf", 2)


def assert_pages(world: World, collection: str, pages: set[str]) -> dict[tuple[str, str], Vector]:
    """Each page once and each of its corners once, found by the index, and nothing besides. Return their vectors."""
    assert held(world.truth, collection).keys() == pages and count(world.truth, collection) == len(pages)
    found = rows(world.truth, f"{collection}Region")
    by_place = {(row["properties"]["path"], row["properties"]["corner"]): vector(row) for row in found}
    assert by_place.keys() == {(page, corner) for page in pages for corner in CORNERS}
    assert len(found) == count(world.truth, f"{collection}Region") == len(by_place), "a corner is there twice"
    return by_place


def test_killed_then_without_weaviate_every_page_has_its_corners_once_and_broken_files_spoil_none(
    world: World, corners: Job
) -> None:
    regions = f"{corners.collection}Region"
    world.proxy.pace_seconds = PACE_SECONDS
    corners.start().until(lambda: count(world.truth, regions) >= 4, "corners were stored")
    corners.kill()
    embedded = world.proxy.images
    corners.start().until(lambda: world.proxy.images > embedded, "more corners were embedded")
    world.weaviate.end(signal.SIGTERM)
    world.weaviate.start()
    world.proxy.pace_seconds = 0
    found = summary(corners.done(3))
    assert found["added"] + found["unchanged"] + found["updated"] == PAGES
    reasons = {each["path"]: each["reason"] for each in found["failures"]}
    assert reasons.keys() == BROKEN.keys() and all(BROKEN[path] in why for path, why in reasons.items()), reasons
    disturbed = assert_pages(world, corners.collection, GOOD)

    again = summary(corners.start("--pdf-password", "geheim").done(3))
    assert (again["unchanged"], again["updated"], again["failed"]) == (PAGES, 0, len(BROKEN) - 1)
    assert (again["added"], again["regions"]) == (SECRET_PAGES, SECRET_PAGES * len(CORNERS))
    vectors = assert_pages(world, corners.collection, GOOD | name_pages("secret.pdf", SECRET_PAGES))
    for place, each in disturbed.items():
        assert_same(vectors[place], each, str(place))
    assert len({tuple(each) for each in vectors.values()}) == len(vectors), "a corner has another one's vector"
