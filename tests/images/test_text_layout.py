"""Blocks without rules: how their lines of text are set decides, whatever the words are."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from clip_vectorizer.images.line_grid import LineGrid, compare_line_grids, measure_line_grid
from clip_vectorizer.images.text_layout import pack_shares, unpack_shares
from tests.images.test_line_grid import block, scanned

FIVE, THREE = (24, 24, 24, 24, 24), (30, 48, 30)  # pixels from line to line


def lines(pitches: tuple[int, ...], words: int, at: tuple[int, int] = (300, 100)) -> LineGrid:
    return measure_line_grid(draw_lines(pitches, words, at))


def draw_lines(pitches: tuple[int, ...], words: int, at: tuple[int, int] = (300, 100)) -> Image.Image:
    """Centred lines of text at the lower right of a page; `words`: seed of what they say."""
    picture = Image.new("L", (800, 400), 255)
    draw, random, font = ImageDraw.Draw(picture), Random(words), ImageFont.load_default(15)
    y = at[1]
    for number, pitch in enumerate(pitches):
        text = "".join(random.choice("abcdefgh  ") for _ in range(18 + 3 * number))
        draw.text((at[0] + 100, y), text, fill=0, font=font, anchor="ma")
        y += pitch
    return picture


def test_other_words_at_another_place_agree_and_other_lines_do_not() -> None:
    query = lines(FIVE, 1)
    same, other = compare_line_grids(query, [lines(FIVE, 2, (240, 180)), lines(THREE, 1)]).tolist()
    assert not query.has_rules and same > 0.42 and other < 0.35


def test_a_scan_agrees_with_its_page() -> None:
    scan = measure_line_grid(scanned(draw_lines(FIVE, 3), 0.4))
    assert compare_line_grids(lines(FIVE, 1), [scan])[0] > 0.35


def test_a_block_with_rules_does_not_agree_with_one_without() -> None:
    dense = block(((10, 20, 30, 40, 50, 60, 70), (0, 20, 40, 60, 80, 100, 120, 140)))
    ruled = measure_line_grid(dense)
    assert ruled.has_rules
    assert compare_line_grids(lines(FIVE, 1), [ruled])[0] < 0.3
    assert compare_line_grids(ruled, [lines(FIVE, 1), ruled]).tolist() == pytest.approx([0, 1], abs=0.3)


def test_a_grid_that_was_stored_before_there_were_layouts_counts_its_rules_alone() -> None:
    query, stored = lines(FIVE, 1), lines(FIVE, 2)
    old = LineGrid.from_text(replace(stored, text_layout=None).to_text())
    assert old is not None and old.text_layout is None
    assert compare_line_grids(query, [old])[0] == compare_line_grids(old, [query])[0] == 0


def test_a_layout_is_kept_to_within_half_a_level() -> None:
    layout = lines(FIVE, 1).text_layout
    assert layout is not None and layout.max() > 0.2
    np.testing.assert_allclose(unpack_shares(pack_shares(layout)), layout, atol=0.5 / 15)


def test_a_page_without_text_agrees_with_no_text() -> None:
    empty = measure_line_grid(Image.new("L", (800, 400), 255))
    assert compare_line_grids(empty, [lines(FIVE, 1), empty]).tolist() == [0, 0]
