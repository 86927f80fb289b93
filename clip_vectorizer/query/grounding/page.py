"""Groundings as one HTML page: the picture with boxes as SVG over it, the sentence with coloured phrases, a table.

No scripts, and nothing from elsewhere; the Content-Security-Policy forbids both, also if a phrase contains HTML.
"""

import base64
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from rich.cells import cell_len

from clip_vectorizer.images.opener import encode_plain
from clip_vectorizer.query.display.contact_sheet import MEDIA_TYPES, POLICY, escape_html
from clip_vectorizer.query.grounding.groundings import NOT_IN_PICTURE, Grounding, PhraseBox, PictureGroundings
from clip_vectorizer.query.grounding.labels import choose_colour, choose_ink, place_labels

STYLE_FILE = Path(__file__).with_suffix(".css")
TEXT_SHARE = 1 / 32  # height of a label's text, of the picture's longer side
CELL = 0.56  # width of a letter, of the text's height; a Chinese character takes two


def render_page(found: PictureGroundings, pixels: Image.Image) -> Iterator[str]:
    """Yield the page in pieces."""
    title = escape_html(found.sentence or ", ".join(each.phrase.text for each in found))
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{title} - clip-ground</title>\n"
    yield f"<style>\n{STYLE_FILE.read_text(encoding='utf-8')}{''.join(render_colours(len(found)))}</style>\n</head>\n"
    yield f'<body>\n<header><h1 dir="auto">{render_sentence(found)}</h1>\n'
    yield f"<p><bdi>{escape_html(found.path)}</bdi> · probability of {found.threshold:g} or more</p></header>\n<main>\n"
    yield from render_overlay(found, pixels)
    yield from render_table(found)
    yield "</main>\n</body>\n</html>\n"


def render_colours(count: int) -> Iterator[str]:
    for index in range(count):
        colour = choose_colour(index)
        yield f".p{index} {{ --phrase: {colour}; --phrase-ink: {choose_ink(colour)}; }}\n"


def render_sentence(found: PictureGroundings) -> str:
    """The sentence with its phrases marked, and the phrases that are not in it after it."""
    pieces, end = [], 0
    spans = sorted((each.phrase.span, index) for index, each in enumerate(found) if each.phrase.span)
    for span, index in spans:
        if span is not None and span[0] >= end:
            pieces += [escape_html(found.sentence[end : span[0]]), render_mark(found.groundings[index], index)]
            end = span[1]
    pieces.append(escape_html(found.sentence[end:]))
    others = [render_mark(each, index) for index, each in enumerate(found) if each.phrase.span is None]
    return " ".join(filter(None, ("".join(pieces), *others)))


def render_mark(grounding: Grounding, index: int) -> str:
    """A phrase that is not in the picture has a dashed frame, and says so to a screen reader."""
    text, spoken = escape_html(grounding.phrase.text), f'<span class="spoken"> ({NOT_IN_PICTURE})</span>'
    if grounding.present:
        return f'<mark class="p{index}">{text}</mark>'
    return f'<mark class="missing p{index}">{text}{spoken}</mark>'


def render_overlay(found: PictureGroundings, pixels: Image.Image) -> Iterator[str]:
    width, height = pixels.size
    side = max(width, height)
    alt = escape_html("; ".join(map(str, found)))
    yield f'<svg class="picture" viewBox="0 0 {width} {height}" role="img" aria-label="{alt}" '
    yield f'style="--line: {side / 200:.3f}px; --text: {side * TEXT_SHARE:.3f}px">\n'
    yield f'<image width="{width}" height="{height}" href="{encode_data_url(pixels)}"/>\n'
    yield from render_boxes(found, (width, height))
    yield "</svg>\n"


def encode_data_url(pixels: Image.Image) -> str:
    data = encode_plain(pixels)
    media_type = next(kind for start, kind in MEDIA_TYPES.items() if data.startswith(start))
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def render_boxes(found: PictureGroundings, size: tuple[int, int]) -> Iterator[str]:
    height = max(size) * TEXT_SHARE
    pairs = [(index, box) for index, each in enumerate(found) for box in each.boxes]
    texts = [f"{found[index].phrase.text} {box.probability:.2f}" for index, box in pairs]
    boxes = [scale_box(box, size) for _, box in pairs]
    sizes = [(height * (CELL * cell_len(text) + 0.6), height * 1.4) for text in texts]
    places = place_labels(boxes, sizes, size)
    for (index, _), (left, top, right, bottom) in zip(pairs, boxes, strict=True):
        yield f'<rect class="box p{index}" x="{left:.2f}" y="{top:.2f}" '
        yield f'width="{right - left:.2f}" height="{bottom - top:.2f}"/>\n'
    for (index, _), text, place in zip(pairs, texts, places, strict=True):
        label_width, label_height = place[2] - place[0], place[3] - place[1]
        yield f'<g class="label p{index}"><rect x="{place[0]:.2f}" y="{place[1]:.2f}" '
        yield f'width="{label_width:.2f}" height="{label_height:.2f}"/>'
        yield f'<text x="{place[0] + 0.3 * height:.2f}" y="{place[1] + 1.03 * height:.2f}">'
        yield f"{escape_html(text)}</text></g>\n"


def scale_box(box: PhraseBox, size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box.box
    return left * size[0], top * size[1], right * size[0], bottom * size[1]


def render_table(found: PictureGroundings) -> Iterator[str]:
    kind = "pixels" if found.size else "shares of the sides"
    yield f'<table><thead><tr><th scope="col">phrase</th><th scope="col">box ({kind})</th>'
    yield '<th scope="col">probability</th></tr></thead>\n<tbody>\n'
    for index, each in enumerate(found):
        for number, (place, probability) in enumerate(list_places(each)):
            name = render_mark(each, index) if number == 0 else ""
            yield f'<tr><th scope="row" dir="auto">{name}</th><td>{place}</td><td>{probability:.2f}</td></tr>\n'
    yield "</tbody></table>\n"


def list_places(grounding: Grounding) -> list[tuple[str, float]]:
    """The boxes as texts with their probabilities; of a missing phrase that it is missing, and its best probability."""
    if not grounding.boxes:
        return [(NOT_IN_PICTURE, grounding.probability)]
    return [(format_box(box), box.probability) for box in grounding.boxes]


def format_box(box: PhraseBox) -> str:
    """Left, top, right, bottom: whole pixels, or shares where the size is not known."""
    if box.pixels is not None:
        return " ".join(f"{value:.0f}" for value in box.pixels)
    return " ".join(f"{value:.3f}" for value in box.box)
