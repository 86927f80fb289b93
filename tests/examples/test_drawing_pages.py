"""The drawings themselves: hatching inside its outline, views beside the title block; scans turn as their box does."""

import io
from random import Random

import numpy as np
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from examples.drawings.blocks import draw_frame, place_block
from examples.drawings.organisations import Organisation, list_organisations
from examples.drawings.part_drawings import FAMILIES, FAMILIES_APART, place_views, reserve_block
from examples.drawings.scans import (
    MOST_PIXELS,
    Pose,
    ScannedPage,
    Scanner,
    choose_scanner,
    reduce_sheet,
    scan_page,
    write_image_pdf,
)
from examples.drawings.sheets import BLACK, SIZES, Rectangle, Sheet, SheetPen, choose_sheet
from examples.drawings.views import hatch

MAKERS = {**FAMILIES, **FAMILIES_APART}
A4 = Sheet("A4", 210, 297)
RING = [(0.0, 0.0), (10.0, 0.0), (10.0, 4.0), (4.0, 4.0), (4.0, 10.0), (0.0, 10.0)]  # an L


@given(angle=st.floats(0, 180), step=st.floats(0.3, 3))
def test_hatching_is_inside_the_material(angle: float, step: float) -> None:
    strokes = hatch([RING], angle, step)
    for (x0, y0), (x1, y1) in strokes:
        for share in (0.01, 0.5, 0.99):
            x, y = x0 + (x1 - x0) * share, y0 + (y1 - y0) * share
            assert min(x, y) >= -1e-6 and max(x, y) <= 10 + 1e-6 and min(x, y) <= 4 + 1e-6


def test_hatching_leaves_a_hole_free() -> None:
    hole = [(1.0, 1.0), (3.0, 1.0), (3.0, 3.0), (1.0, 3.0)]
    strokes = hatch([RING, hole], 0, 0.5)
    covered = sum(x1 - x0 for (x0, _), (x1, _) in strokes) * 0.5
    assert covered == pytest.approx(64 - 4)  # the L's area without the hole's


@pytest.mark.parametrize("family", MAKERS)
@pytest.mark.parametrize("organisation", list_organisations()[::3], ids=lambda each: each.slug)
def test_views_are_inside_the_frame_and_off_the_title_block(family: str, organisation: Organisation) -> None:
    rng = Random(f"{family} {organisation.slug}")
    pen = SheetPen(Canvas(io.BytesIO()), choose_sheet(rng))
    part, inside = MAKERS[family](rng), draw_frame(pen, organisation)
    taken = reserve_block(organisation, part, place_block(organisation, inside))
    placed = place_views(organisation, part, inside, taken, pen.zoom)
    assert set(placed.origins) == set(part.views)
    for number, area in enumerate(placed.areas):
        assert inside.contains(area) and not area.overlaps(taken)
        assert not any(area.overlaps(other) for other in placed.areas[number + 1 :])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("skew", [-1.5, 0.0, 1.5])
@pytest.mark.parametrize("bilevel", [False, True])
def test_the_box_follows_a_crooked_or_turned_page(turned: bool, skew: float, bilevel: bool) -> None:
    block, pose = Rectangle(110, 15, 190, 55), Pose(skew, turned)
    grey = decode(scan(block, pose, bilevel))
    rows, columns = np.nonzero(grey < 128)
    height, width = grey.shape
    found = columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height
    assert found == pytest.approx(pose.move(block, A4), abs=0.006)


def scan(block: Rectangle, pose: Pose, bilevel: bool) -> ScannedPage:
    """A sheet with a black rectangle on it, without dust, folds or fading ink that would blur its border."""
    file = io.BytesIO()
    canvas = Canvas(file)
    SheetPen(canvas, A4).box(block, 0, fill=BLACK)
    canvas.save()
    scanner = Scanner(dpi=100, bilevel=bilevel, paper=250, blur=0)
    with pypdfium2.PdfDocument(file.getvalue()) as document:
        return scan_page(document[0], A4, scanner, pose, None, FewFaults())[0]


class FewFaults(Random):
    """The lower end of every range: no dust, no folds, little noise."""

    def random(self) -> float:
        return 0.0

    def getrandbits(self, k: int) -> int:
        return 0


def decode(page: ScannedPage) -> np.ndarray:
    """Its pixels, read back from a PDF."""
    with pypdfium2.PdfDocument(write_image_pdf([page])) as document:
        return np.asarray(document[0].render(scale=page.dpi / 72, grayscale=True).to_pil())


def test_large_sheets_are_scanned_as_reduced_copies() -> None:
    for short, long in SIZES.values():
        for dpi in (100, 200):
            scale = reduce_sheet(Sheet("", long, short), dpi)
            assert long * short * (scale * dpi / 25.4) ** 2 <= MOST_PIXELS
            assert scale <= 1
    assert reduce_sheet(A4, 200) == 1


def test_scanners_differ() -> None:
    scanners = {choose_scanner(Random(seed)) for seed in range(40)}
    assert {each.bilevel for each in scanners} == {True, False} and {each.dpi for each in scanners} == {
        100,
        120,
        150,
        200,
    }
