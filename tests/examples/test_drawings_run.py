"""examples/drawings/run_all.py: what is stored, what is counted, how a failed step ends; pictures."""

import re
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pypdfium2
import pytest

from examples.drawings.make_corpus import CorpusPage
from examples.drawings.run_all import LIBRARY, SHOTS, DrawingsRun, choose_query, count_right, fill_library
from examples.drawings.story_pictures import (
    ENCODERS,
    PANELS,
    SEEN_SIDE,
    TABLES,
    choose_page,
    draw_page,
    plot_block,
    plot_figures,
    read_figures,
)
from ingest.demo.places import Endpoints
from tests.documents import page
from tests.examples.conftest import MadeCorpus

NOWHERE = Endpoints("http://127.0.0.1:1", 1, None, "http://127.0.0.1:1")
LINE = CorpusPage(
    **{"path": "test/a-001.pdf", "page": 1, "kind": "drawing", "organisation": "a", "family": "gears"},
    **{"split": "test", "column": "same generator", "scan": False, "dpi": None, "box": None},
    **{"title": None, "number": None},
)


def test_test_pages_and_some_training_pages_of_each_kind_are_stored(corpus: MadeCorpus, tmp_path: Path) -> None:
    (tmp_path / "corpus").symlink_to(corpus.folder)
    fill_library(tmp_path, corpus.lines)
    stored = {file.relative_to(tmp_path / LIBRARY).as_posix() for file in (tmp_path / LIBRARY).rglob("*.pdf")}
    files = {line.path for line in corpus.lines if line.split == "test"}
    shots = stored - files
    assert files <= stored and {name.split("/")[0] for name in shots} == {line.kind for line in corpus.lines}
    assert sum(name.startswith("drawing/") for name in shots) == SHOTS
    first = next(line for line in corpus.lines if line.split == "train" and line.kind == "drawing")
    with pypdfium2.PdfDocument(tmp_path / LIBRARY / "drawing" / "1.pdf") as page:
        assert len(page) == 1
        with pypdfium2.PdfDocument(corpus.folder / first.path) as source:
            assert page[0].get_size() == pytest.approx(source[first.page - 1].get_size())


def test_the_searched_page_is_of_the_organisation_with_most_files_and_no_scan() -> None:
    lines = [
        replace(LINE, path="test/b-001.pdf", organisation="b"),
        replace(LINE, scan=True),
        replace(LINE, path="test/a-002.pdf", page=3),
        replace(LINE, path="train/c-001.pdf", organisation="c", split="train"),
    ]
    assert choose_query(lines) == "test/a-002.pdf#page=3"


def test_kinds_of_test_pages_are_counted_and_no_others() -> None:
    lines = [LINE, replace(LINE, page=2), replace(LINE, page=3, kind="map"), replace(LINE, split="train")]
    kinds = {"test/a-001.pdf#page=1": "drawing", "test/a-001.pdf#page=3": "drawing", "drawing/1.pdf#page=1": "drawing"}
    assert count_right(kinds, lines) == (
        "kinds: 1 of 3 test pages are right; 2 are called drawings, of which 1 are, of 2"
    )


def test_a_failed_step_is_named_with_the_way_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = DrawingsRun(tmp_path, 4, NOWHERE)
    with pytest.raises(SystemExit) as ended:
        run.run("searches", "clip-search", "--limit", "many")
    message = capfd.readouterr().err
    assert ended.value.code == 2 and "the step 'searches' failed: clip-search ended with 2" in message
    assert f"Run the same line again: what was done is kept. To begin anew, remove {tmp_path}" in message


def test_the_figures_of_the_last_section_are_those_of_the_tables() -> None:
    numbers = re.compile(r"(?<![\w.])\.\d{3}\b")
    document = page("docs/drawings.md")
    quoted = set(numbers.findall(document.section("What it says about the article's claim").text))
    tables = document.section("The experiment").text + TABLES.read_text(encoding="utf-8")
    assert len(quoted) > 15 and quoted <= set(numbers.findall(tables))


def test_the_pictures_show_the_figures_of_the_page() -> None:
    figures = read_figures(TABLES.read_text(encoding="utf-8"))
    for table, looking, _ in PANELS:
        for encoder in ENCODERS:
            value, low, high = figures[table, encoder, looking]
            assert 0 < low <= value <= high <= 1
    plt.close(plot_figures(figures))


def test_a_title_block_has_more_pixels_in_its_corner_than_in_the_page(corpus: MadeCorpus) -> None:
    line = choose_page(corpus.lines)
    assert line.box and line.box[0] > 0.5 and line.box[1] > 0.65
    canvas = plot_block(draw_page(corpus.folder, line), line.box)
    whole, in_page, in_corner = (axes.get_images()[0].get_array().shape[:2] for axes in canvas.axes)
    plt.close(canvas)
    assert whole == (SEEN_SIDE, SEEN_SIDE)
    assert in_corner[0] >= 1.9 * in_page[0] and in_corner[1] >= 1.9 * in_page[1]
