"""Pages of a PDF file on the real stack: facts, kinds, corners, title blocks; each line of docs/drawings.md runs.

The pages are those of examples/drawings: drawings of organisations that have several, and one page of each other kind.
"""

import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pikepdf
import pytest
from PIL import Image

from clip_vectorizer.query import ImageSearch, Query
from ingest.sources.pdf import read_page
from tests.documents import REPOSITORY, page
from tests.ingest.sources.support import entry, picture
from tests.stack.acceptance.in_process import Command, connection, ran
from tests.stack.faults.database import count, rows
from tests.stack.support import Stack, clean_environment

pytestmark = pytest.mark.stack

PAGE = page("docs/drawings.md")
START = PAGE.section("Start").commands("clip-ingest", "clip-classify", "clip-search")
FACTS = PAGE.section("Pages").commands()
KINDS = PAGE.section("Kinds").commands()
BLOCKS = PAGE.section("Same title block").commands()
COMMANDS = [*START, *FACTS, *KINDS, *BLOCKS]
OF_PAGE_7 = "scans.pdf#page=7"
CORNER = "corner:bottom-right"
MOST_PAGES = 60

PageLine = dict[str, Any]  # of pages.jsonl


@dataclass(frozen=True)
class Scans:
    """scans.pdf in a folder of its own, ingested with its corners; page 7 is a drawing of an organisation with more."""

    folder: Path
    collection: str
    lines: list[PageLine]  # in the order of the pages
    first: list[str]  # what the lines of the section Start printed

    def name_pages(self, organisation: object) -> set[str]:
        return {f"scans.pdf#page={n}" for n, line in enumerate(self.lines, 1) if line["organisation"] == organisation}


@pytest.fixture(scope="module")
def run(stack: Stack) -> Command:
    """Runs a command inside the test process."""
    return functools.partial(ran, stack.env)


@pytest.fixture(scope="module")
def scans(stack: Stack, run: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scans]:
    folder = tmp_path_factory.mktemp("scans")
    lines = choose_pages(make_corpus(folder / "corpus"))
    write_pdf(folder / "scans.pdf", folder / "corpus", lines)
    for line in lines[:18]:
        kind = folder / "shots" / str(line["kind"])
        kind.mkdir(parents=True, exist_ok=True)
        write_pdf(kind / f"{len(list(kind.iterdir()))}.pdf", folder / "corpus", [line])
    collection = f"Test{uuid4().hex[:12]}"
    before = Path.cwd()
    os.chdir(folder)
    try:
        first = [run(*shlex.split(line), "--collection", collection).stdout for line in START]
    finally:
        os.chdir(before)
    yield Scans(folder, collection, lines, first)
    for name in (collection, f"{collection}Region"):
        stack.weaviate("DELETE", f"/v1/schema/{name}").raise_for_status()


def make_corpus(folder: Path) -> list[PageLine]:
    script = REPOSITORY / "examples" / "drawings" / "make_corpus.py"
    words = [sys.executable, str(script), str(folder), "--pages", str(MOST_PAGES), "--seed", "2"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (folder / "pages.jsonl").read_text().splitlines()]


def choose_pages(lines: list[PageLine]) -> list[PageLine]:
    """Drawings of organisations with several, and a page of each other kind, in turns."""
    counts = Counter(line["organisation"] for line in lines if line["kind"] == "drawing")
    drawings = [line for line in lines if line["kind"] == "drawing" and counts[line["organisation"]] > 1]
    others = list({str(line["kind"]): line for line in lines if line["kind"] != "drawing"}.values())
    return [*drawings[:9], *others, *drawings[9:]]


def write_pdf(file: Path, corpus: Path, lines: list[PageLine]) -> None:
    with pikepdf.new() as made:
        for line in lines:
            with pikepdf.open(corpus / str(line["path"])) as source:
                made.pages.append(source.pages[int(str(line["page"])) - 1])
        made.save(file)


@pytest.fixture
def search(stack: Stack, scans: Scans) -> Iterator[ImageSearch]:
    with ImageSearch.connect(**connection(stack), collection=scans.collection) as connected:
        yield connected


def test_the_nearest_page_has_the_same_title_block(search: ImageSearch, scans: Scans) -> None:
    """By rules, over scans and sheets of other sizes; by vectors of `emoji` alone a third of them."""
    found: list[bool] = []
    for number, line in enumerate(scans.lines, 1):
        name = f"scans.pdf#page={number}"
        others = scans.name_pages(line["organisation"]) - {name}
        if line["kind"] == "drawing" and others:
            hits = search.find(Query.stored(name), limit=5, regions=CORNER)
            assert name not in {hit.path for hit in hits} and len({hit.path for hit in hits}) == 5
            found.append(hits[0].path in others)
    assert len(found) >= 12 and sum(found) >= 0.7 * len(found), found


def test_pages_have_their_facts_and_each_its_four_corners(stack: Stack, search: ImageSearch, scans: Scans) -> None:
    names = ["ink", "path_segments", "characters", "embedded_images", "page_width", "page_height", "block_text"]
    by_path = {image.path: image.properties for image in search.iterate(return_properties=names)}
    for number, line in enumerate(scans.lines, 1):
        facts = by_path[f"scans.pdf#page={number}"]
        assert 0 <= facts["ink"] < 1 and facts["page_width"] > 200 and facts["page_height"] > 200
        if line["scan"]:
            assert facts["path_segments"] == facts["characters"] == 0 and facts["embedded_images"] > 0
        elif line["kind"] == "drawing":
            assert facts["path_segments"] > 100 and facts["characters"] > 50
    regions = rows(stack, f"{scans.collection}Region")
    assert Counter(row["properties"]["corner"] for row in regions) == dict.fromkeys(
        ("top-left", "top-right", "bottom-left", "bottom-right"), len(scans.lines)
    )
    assert all(len(row["properties"]["line_grid"]) == 1112 for row in regions)


def test_words_of_a_title_block_are_found(search: ImageSearch, scans: Scans) -> None:
    drawn = [n for n, line in enumerate(scans.lines, 1) if line["kind"] == "drawing" and not line["scan"]]
    texts = {n: read_block_text(search, n) for n in drawn}
    number = next(n for n, text in texts.items() if str(scans.lines[n - 1]["number"]) in text)
    hits = search.by_text(str(scans.lines[number - 1]["number"]), alpha=0.1, limit=3)
    assert hits[0].path == f"scans.pdf#page={number}"


def read_block_text(search: ImageSearch, number: int) -> str:
    [image] = search.iterate(filters=f"page={number}", return_properties=["block_text"])
    return str(image.properties["block_text"] or "")


def test_the_first_minute_goes_as_the_page_shows(scans: Scans) -> None:
    ingested, classified, alike, same = scans.first
    pages = len(scans.lines)
    assert f"{pages} images: {pages} added" in ingested and f"{4 * pages} regions of {pages} images" in ingested
    assert classified.count("scans.pdf#page=") == pages and OF_PAGE_7 not in alike
    assert "score" in same.splitlines()[0] and "0.50,0.65,1.00,1.00" in same and OF_PAGE_7 not in same


def test_every_line_of_the_page_runs(run: Command, scans: Scans, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines add pages. A block cut out of page 7 is block.png."""
    monkeypatch.chdir(scans.folder)
    cut_block(scans).save("block.png")
    for line in (*FACTS, *KINDS, *BLOCKS):
        printed = run(*shlex.split(line), "--collection", scans.collection)
        assert printed.stdout.strip() or "nothing found" in printed.stderr or "no images" in printed.stderr, line
    assert count(stack, scans.collection) == len(scans.lines) + 18


def cut_block(scans: Scans) -> Image.Image:
    data = (scans.folder / "scans.pdf").read_bytes()
    drawn = picture(read_page(entry("scans.pdf", data), 7, 110).pixels)
    sides = (*drawn.size, *drawn.size)
    return drawn.crop(tuple(round(share * side) for share, side in zip(scans.lines[6]["box"], sides, strict=True)))


def test_make_drawings_goes_from_a_corpus_to_the_table(stack: Stack, scans: Scans, tmp_path: Path) -> None:
    """In miniature, on the corpus that is there, by the servers of the environment."""
    shutil.copytree(scans.folder / "corpus", tmp_path / "corpus")
    words = ["--pages", str(MOST_PAGES), "--steps", "1", "--folder", str(tmp_path)]
    environment = clean_environment() | stack.env | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "examples.drawings.run_all", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    try:
        assert done.returncode == 0, done.stderr
        assert "by SimCLR:" in done.stdout and done.stdout.count("similarity ") == 3
        for encoder in ("emoji", "local-dir:random-model", "local-dir:pages-model-1"):
            assert f"| {encoder} | page + corner" in done.stdout
        assert done.stderr.splitlines()[-1].startswith("all of it took ")
    finally:
        for name in ("Drawings1", "Drawings1Region"):
            stack.weaviate("DELETE", f"/v1/schema/{name}")


def test_a_second_run_changes_nothing_and_none_removes_the_corners(stack: Stack, run: Command, scans: Scans) -> None:
    """The last of these tests: no corners are left."""
    ingest = ("clip-ingest", scans.folder / "scans.pdf", "--collection", scans.collection, "--json", "--regions")
    again = json.loads(run(*ingest, "corners").stdout)
    assert (again["unchanged"], again["regions"]) == (len(scans.lines), 0)
    run(*ingest, "none")
    assert count(stack, f"{scans.collection}Region") == 0
    refused = run(
        "clip-search", "--like", OF_PAGE_7, "--regions", CORNER, "--collection", scans.collection, expect=None
    )
    assert refused.exit_code and f"{OF_PAGE_7} has no corners stored" in refused.stderr
    assert "clip-ingest SOURCE --regions corners" in refused.stderr
