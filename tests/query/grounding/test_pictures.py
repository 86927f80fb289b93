"""Groundings drawn: PNG, HTML, COCO; and where labels go."""

import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clip_vectorizer.query.grounding.coco import build_coco
from clip_vectorizer.query.grounding.groundings import Grounding, PhraseBox, PictureGroundings
from clip_vectorizer.query.grounding.labels import (
    COLOURS,
    choose_colour,
    choose_ink,
    measure_luminance,
    overlap,
    place_labels,
)
from clip_vectorizer.query.grounding.page import render_page
from clip_vectorizer.query.grounding.phrases import Phrase, find_phrases
from clip_vectorizer.query.grounding.picture import LEAST_SIDE, draw_picture, encode_picture

SIZE = (800, 400)


def build_found(sentence: str = "a cat & a <b>dog</b>, owl", boxes: int = 1) -> PictureGroundings:
    """Every phrase but the last has `boxes` boxes."""
    phrases = [Phrase("cat", (2, 5)), Phrase("<b>dog</b>", (10, 20)), Phrase("owl", (22, 25))]
    placed = [PhraseBox((x / 10, 0.25, x / 10 + 0.3, 0.75), None, 0.3, 0.9 - x / 10) for x in range(boxes)]
    found = [Grounding(phrase, tuple(placed), 0.9) for phrase in phrases[:-1]]
    return PictureGroundings("a<.png", sentence, (*found, Grounding(phrases[-1], (), 0.125)), 0.5, SIZE, stored=False)


def hex_colour(pixel: object) -> str:
    assert isinstance(pixel, tuple)
    return "#{:02X}{:02X}{:02X}".format(*pixel)


def test_a_png_has_a_coloured_line_around_each_box_and_leaves_the_rest() -> None:
    drawn = draw_picture(Image.new("RGB", SIZE, "#123456"), build_found())
    with Image.open(io.BytesIO(encode_picture(Image.new("RGB", SIZE, "#123456"), build_found()))) as file:
        assert file.format == "PNG" and file.size == SIZE
    assert hex_colour(drawn.getpixel((100, 299))) == choose_colour(1)  # the second phrase's box is drawn over the first
    assert hex_colour(drawn.getpixel((120, 250))) == hex_colour(drawn.getpixel((700, 50))) == "#123456"


def test_a_small_picture_is_enlarged_so_that_labels_are_readable() -> None:
    assert max(draw_picture(Image.new("RGB", (40, 20)), build_found()).size) == LEAST_SIDE
    assert draw_picture(Image.new("RGB", (1, 1)), build_found()).size == (LEAST_SIDE, LEAST_SIDE)


def test_a_phrase_longer_than_the_picture_is_drawn_inside_it() -> None:
    box = PhraseBox((0.9, 0, 1, 0.1), None, 0.3, 0.9)
    found = PictureGroundings("a.png", "", (Grounding(Phrase("long " * 100), (box,), 0.9),), 0.5, None, stored=True)
    drawn = draw_picture(Image.new("RGB", (300, 800), "white"), found)
    assert drawn.size == (300, 800) and hex_colour(drawn.getpixel((150, 2))) != "#FFFFFF"


def test_the_palette_can_be_read_in_grey_too() -> None:
    for colour in COLOURS:
        ink = measure_luminance(choose_ink(colour))
        paper = measure_luminance(colour)
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5  # WCAG 2.2, AA


sides = st.floats(1, 400)


@given(st.lists(st.tuples(sides, sides, sides, sides, sides, sides), max_size=12), st.floats(50, 500), sides)
def test_labels_stay_inside_the_picture(
    rows: list[tuple[float, float, float, float, float, float]], width: float, height: float
) -> None:
    boxes = [(row[0], row[1], row[0] + row[2], row[1] + row[3]) for row in rows]
    sizes = [(min(row[4], width), min(row[5], height)) for row in rows]
    for place in place_labels(boxes, sizes, (width, height)):
        assert 0 <= place[0] <= place[2] <= width + 1e-6 and 0 <= place[1] <= place[3] <= height + 1e-6


def test_labels_of_equal_boxes_do_not_cover_each_other() -> None:
    places = place_labels([(100, 100, 200, 200)] * 5, [(60, 20)] * 5, (300, 300))
    assert not any(overlap(first, second) for i, first in enumerate(places) for second in places[:i])


def test_a_label_is_in_its_own_box_where_another_is_above() -> None:
    above, below = (0, 0, 100, 100), (0, 100, 100, 200)
    assert place_labels([above, below], [(60, 20)] * 2, (100, 200)) == [(0, 0, 60, 20), (0, 180, 60, 200)]


class Tags(HTMLParser):
    """The tags of a page that are open, and how often each occurs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


def read_page(found: PictureGroundings) -> tuple[str, Tags]:
    text, tags = "".join(render_page(found, Image.new("RGB", SIZE, "white"))), Tags()
    tags.feed(text)
    return text, tags


def test_a_page_shows_the_sentence_the_boxes_and_what_is_missing() -> None:
    text, tags = read_page(build_found(boxes=2))
    head = re.sub(r"<[^>]*>", "", text.partition("<h1")[2].partition(">")[2].partition("</h1>")[0])
    assert head == "a cat &amp; a &lt;b&gt;dog&lt;/b&gt;, owl (not in the picture)"
    assert [each["class"] for each in tags.named("mark")[:3]] == ["p0", "p1", "missing p2"]
    assert [each["class"] for each in tags.named("rect") if each.get("class")] == ["box p0"] * 2 + ["box p1"] * 2
    assert text.count("not in the picture") == 4  # the sentence, the picture's description, and twice in the table


def test_a_page_has_nothing_from_elsewhere_and_no_script() -> None:
    text, tags = read_page(build_found())
    [policy] = [each["content"] for each in tags.named("meta") if each.get("http-equiv")]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert {name for name, _ in tags.seen}.isdisjoint({"script", "link", "iframe", "b", "a"})
    [image] = tags.named("image")
    assert str(image["href"]).startswith("data:image/png;base64,")
    assert "a&lt;.png" in text and "http" not in re.sub(r"http-equiv", "", text)


def test_listed_phrases_are_marked_after_the_sentence() -> None:
    found = build_found("")
    listed = PictureGroundings(
        found.path, "", tuple(Grounding(Phrase(each.phrase.text), each.boxes, 0.9) for each in found), 0.5, SIZE, False
    )
    text, tags = read_page(listed)
    assert len(tags.named("mark")) == 6 and "<title>cat, &lt;b&gt;dog&lt;/b&gt;, owl - clip-ground</title>" in text


@pytest.mark.parametrize("sentence", ["a cat", "一只猫和两只狗", 'a "cat" \x1b[31m and a dog'])
def test_a_page_keeps_every_character_of_the_sentence(sentence: str) -> None:
    phrases = find_phrases(sentence)
    found = PictureGroundings("a.png", sentence, tuple(Grounding(each, (), 0) for each in phrases), 0.5, SIZE, False)
    text, tags = read_page(found)
    assert len(tags.named("mark")) == 2 * len(phrases)
    assert "\x1b" not in text


def test_coco_has_boxes_in_pixels_with_width_and_height() -> None:
    coco = build_coco(build_found(boxes=2), SIZE)
    assert coco["images"] == [{"id": 1, "file_name": "a<.png", "width": 800, "height": 400}]
    assert [each["name"] for each in coco["categories"]] == ["cat", "<b>dog</b>", "owl"]
    assert coco["annotations"][1] == {
        "id": 2, "image_id": 1, "category_id": 1, "bbox": [80.0, 100.0, 240.0, 200.0], "area": 48000.0,
        "iscrowd": 0, "score": 0.8,
    }  # fmt: skip
    assert {each["category_id"] for each in coco["annotations"]} == {1, 2}
    assert json.loads(json.dumps(coco)) == coco
