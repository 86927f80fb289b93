"""examples/drawings/make_corpus.py: which pages a corpus has, where they are, and where their title blocks are."""

import math
import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from click.testing import CliRunner
from PIL import Image

from examples.drawings.contact_sheet import CELL, COLUMNS, ROWS, choose_pages, draw_sheet
from examples.drawings.corpus_plan import DRAWING, KINDS, MOST_PAGES, OTHER, SAME, TEST, TRAIN, plan_corpus
from examples.drawings.make_corpus import LIST, CorpusPage, Shares, main, make_file
from examples.drawings.organisations import list_organisations
from examples.drawings.scans import MOST_SKEW
from tests.documents import PAGES, REPOSITORY
from tests.examples.conftest import COMMAND, MadeCorpus

COMMANDS = [COMMAND]
SEED = int(COMMAND.partition("--seed ")[2].split()[0])
SHEET = REPOSITORY / "examples" / "drawings" / "contact-sheet.png"
MOST_SHEET_BYTES = 300_000


def test_half_of_the_pages_are_drawings_and_every_kind_is_in_each_column() -> None:
    pages = [(file, page) for file in plan_corpus(2000, 0.4, 1) for page in file.pages]
    kinds = Counter(page.kind for _, page in pages)
    assert len(pages) == 2000 and kinds[DRAWING] == 1000 and set(kinds) == set(KINDS)
    columns = Counter((file.split, file.column) for file, _ in pages)
    assert columns == {(TRAIN, SAME): 1200, (TEST, SAME): 400, (TEST, OTHER): 400}
    for group in columns:
        assert {page.kind for file, page in pages if (file.split, file.column) == group} == set(KINDS)


@pytest.mark.parametrize("pages", [20, 61, 300])
def test_a_corpus_has_as_many_pages_as_wanted_in_files_of_one_to_twelve(pages: int) -> None:
    files = plan_corpus(pages, 0.3, 4)
    assert sum(len(file.pages) for file in files) == pages
    assert all(1 <= len(file.pages) <= MOST_PAGES for file in files)
    assert len({file.name for file in files}) == len(files)


def test_eight_of_24_organisations_are_in_test_pages_only() -> None:
    owners: dict[str, set[str]] = defaultdict(set)
    for file in plan_corpus(2000, 0.4, 1):
        if file.organisation:
            owners[file.split].add(file.organisation.slug)
    assert len(owners[TRAIN]) == 16 and len(owners[TEST]) == 8
    assert not owners[TRAIN] & owners[TEST]


def test_test_organisations_differ_from_the_others_by_no_one_habit() -> None:
    for habit in ("language", "arrows", "comma", "first_angle", "text_above", "revisions", "capitals"):
        values = [
            {getattr(each, habit) for each in list_organisations() if each.in_test == test} for test in (True, False)
        ]
        assert values[0] == values[1], habit


def test_other_families_are_in_no_training_page() -> None:
    families: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for file in plan_corpus(2000, 0.4, 1):
        families[f"{file.split} {file.column}"] |= {(page.kind, page.family) for page in file.pages}
    known, others = families[f"{TRAIN} {SAME}"], families[f"{TEST} {OTHER}"]
    assert families[f"{TEST} {SAME}"] <= known
    assert others & known == {("empty", "empty")}  # an empty page has no family
    assert len([family for kind, family in known if kind == DRAWING]) == 8
    assert len([family for kind, family in others if kind == DRAWING]) == 3


def test_about_half_of_the_pages_are_scans_of_drawings_and_of_others() -> None:
    shares: dict[bool, list[bool]] = defaultdict(list)
    for file in plan_corpus(2000, 0.4, 1):
        for page in file.pages:
            shares[page.kind == DRAWING].append(file.scan)
    assert all(0.42 < np.mean(scans) < 0.58 for scans in shares.values())


def test_the_list_names_each_page_of_each_file_once(corpus: MadeCorpus) -> None:
    listed = Counter(line.path for line in corpus.lines)
    files = {str(file.relative_to(corpus.folder)): file for file in corpus.folder.rglob("*.pdf")}
    assert set(files) == set(listed)
    for path, number in listed.items():
        with pypdfium2.PdfDocument(files[path]) as document:
            assert len(document) == number
        assert [line.page for line in corpus.lines if line.path == path] == list(range(1, number + 1))
    assert all(line.path.startswith(f"{line.split}/") for line in corpus.lines)
    assert f"{len(corpus.lines)} pages in" in corpus.messages


def test_a_file_is_named_for_the_organisation_of_its_blocks(corpus: MadeCorpus) -> None:
    with_block = [line for line in corpus.lines if line.organisation]
    assert all(re.fullmatch(rf"(train|test)/{line.organisation}-\d{{3}}\.pdf", line.path) for line in with_block)
    assert all((line.organisation is None) == (line.box is None) == (line.number is None) for line in corpus.lines)
    assert all(line.organisation for line in corpus.lines if line.kind == DRAWING)


def test_titles_and_numbers_never_repeat(corpus: MadeCorpus) -> None:
    for texts in ([line.title for line in corpus.lines], [line.number for line in corpus.lines]):
        written = [text for text in texts if text]
        assert len(written) == len(set(written)) > 60


def test_people_and_names_belong_to_one_organisation() -> None:
    organisations = list_organisations()
    people = [person for each in organisations for person in set(each.people)]
    assert len(set(people)) == len(people)
    assert len({each.slug for each in organisations}) == len({each.cells for each in organisations}) == 24
    beginnings = [re.match(r"[A-Z]+[^A-Z#@]?", each.numbers) for each in organisations]
    assert len({each[0] for each in beginnings if each}) == 24, "drawing numbers of two organisations may be equal"


def test_the_same_seed_gives_the_same_bytes_in_another_process_and_another_seed_others(corpus: MadeCorpus) -> None:
    planned = plan_corpus(len(corpus.lines), 0.4, SEED)
    some = [file for scan in (True, False) for file in [each for each in planned if each.scan == scan][:8]]
    for file in some:
        data, lines = make_file(file, SEED)
        assert data == (corpus.folder / file.name).read_bytes()
        assert lines == [line for line in corpus.lines if line.path == file.name]
    assert make_file(some[-1], SEED + 1)[0] != data
    assert plan_corpus(len(corpus.lines), 0.4, SEED + 1) != planned


def test_the_words_of_a_title_block_are_in_its_box(corpus: MadeCorpus) -> None:
    lines = [line for line in corpus.lines if line.box and not line.scan]
    assert len(lines) > 30
    for line in lines:
        assert line.box and line.number and line.title
        with pypdfium2.PdfDocument(corpus.folder / line.path) as document:
            page = document[line.page - 1]
            (width, height), text = page.get_size(), page.get_textpage()
            x0, y0, x1, y1 = line.box
            inside = text.get_text_bounded(x0 * width, height - y1 * height, x1 * width, height - y0 * height)
            assert line.number in inside and line.title.split()[-1] in inside, line


def test_the_box_of_a_block_is_framed_by_ink_in_scans_too(corpus: MadeCorpus) -> None:
    """And a box that is drawn in by a fifth of its sides is not: the measure would see it."""
    lines = [line for line in corpus.lines if line.box and line.scan]
    assert len(lines) > 30
    found = [measure_frame(corpus.folder, line) for line in lines]
    assert min(map(min, found)) > 0.5 and np.mean(found) > 0.95
    smaller = [measure_frame(corpus.folder, replace(line, box=draw_in(line.box))) for line in lines[:10] if line.box]
    assert np.mean(list(map(min, smaller))) < 0.5


def draw_in(box: Shares) -> Shares:
    x, y = (box[2] - box[0]) * 0.2, (box[3] - box[1]) * 0.2
    return box[0] + x, box[1] + y, box[2] - x, box[3] - y


def measure_frame(folder: Path, line: CorpusPage) -> list[float]:
    """The shares of the four edges of a box that have ink near them, as far as a crooked line may be away."""
    assert line.box
    grey = render(folder, line.path, line.page)
    height, width = grey.shape
    x0, y0, x1, y1 = (round(share * side) for share, side in zip(line.box, (width, height) * 2, strict=True))
    ink = grey[y0 : y1 + 1, x0 : x1 + 1] < np.median(grey) - 40.0
    across, down = (max(3, round(math.sin(math.radians(MOST_SKEW)) * side) + 2) for side in ink.shape)
    edges = ink[:down].any(0), ink[-down:].any(0), ink[:, :across].any(1), ink[:, -across:].any(1)
    return [float(edge.mean()) for edge in edges]


def render(folder: Path, path: str, page: int) -> np.ndarray:
    with pypdfium2.PdfDocument(folder / path) as document:
        return np.asarray(document[page - 1].render(scale=1.2, grayscale=True).to_pil())


def test_scans_are_one_image_a_page_without_text(corpus: MadeCorpus) -> None:
    for path in {line.path for line in corpus.lines if line.scan}:
        with pypdfium2.PdfDocument(corpus.folder / path) as document:
            for page in document:
                assert [each.type for each in page.get_objects()] == [pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
                assert page.get_textpage().count_chars() == 0


def test_pages_that_are_no_scans_have_their_text(corpus: MadeCorpus) -> None:
    for line in corpus.lines:
        if not line.scan and line.kind in (DRAWING, "text", "table", "form"):
            with pypdfium2.PdfDocument(corpus.folder / line.path) as document:
                assert document[line.page - 1].get_textpage().count_chars() > 30, line


def test_a_folder_with_a_corpus_is_refused(corpus: MadeCorpus) -> None:
    result = CliRunner().invoke(main, [str(corpus.folder)])
    assert result.exit_code == 2 and "has a corpus already; remove it or name another folder" in result.output
    assert (corpus.folder / LIST).exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(main, [str(tmp_path / "file" / "corpus"), "--pages", "20"])
    assert result.exit_code == 1 and "Not a directory; free the place or name another folder" in result.output


def test_too_few_pages_are_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path / "new"), "--pages", "3"])
    assert result.exit_code == 2 and "--pages" in result.output
    assert not (tmp_path / "new").exists()


def test_the_contact_sheet_shows_drawings_first_and_then_other_kinds(corpus: MadeCorpus) -> None:
    chosen = choose_pages(corpus.lines)
    kinds = [line.kind for line in chosen]
    assert len(chosen) == COLUMNS * ROWS and set(kinds[:24]) == {DRAWING} and DRAWING not in kinds[24:]
    assert len({line.organisation for line in chosen[:24]}) > 12
    assert 8 <= sum(line.scan for line in chosen) <= 40
    sheet = draw_sheet(corpus.folder, chosen[:3])
    assert sheet.size == (COLUMNS * CELL[0], ROWS * CELL[1])
    assert np.asarray(sheet)[: CELL[1], : 3 * CELL[0]].max() > 200 > np.asarray(sheet)[CELL[1] :].max()


def test_the_contact_sheet_of_the_repository_is_small_and_shown_in_the_documents() -> None:
    assert SHEET.stat().st_size < MOST_SHEET_BYTES
    with Image.open(SHEET) as image:
        assert image.size == (COLUMNS * CELL[0], ROWS * CELL[1])
    assert "docs/drawings.md" in PAGES
