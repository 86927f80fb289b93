"""Contact sheet: hits as one HTML page without scripts, and without fonts or images from elsewhere.

Its Content-Security-Policy forbids all of these, also if a caption contains HTML.
"""

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from clip_vectorizer.query.display.frames import render_frames
from clip_vectorizer.query.display.tables import format_region, format_value
from clip_vectorizer.query.display.thumbnails import decode_thumbnail
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.terminal import escape_line

STYLE_FILE = Path(__file__).with_suffix(".css")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
LIST = '<ol class="sheet" role="list" aria-label="{}">\n'  # role: Safari needs it
LIST_END, END = "</ol>\n", "</main>\n</body>\n</html>\n"
MEDIA_TYPES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"RIFF": "image/webp",
}  # by the first bytes of a file


def render_contact_sheet(query: str, about: str, sections: Sequence[Group], grouped: bool = False) -> Iterator[str]:
    """Yield the page in pieces. `about`: a line below the query; `grouped`: the sections' names are headings."""
    yield from render_opening(query, about)
    if grouped:
        yield from render_navigation(sections)
    yield "<main>\n"
    for number, section in enumerate(sections):
        yield from render_section(section, number) if grouped else render_images(section.hits)
    yield END


def render_opening(query: str, about: str) -> Iterator[str]:
    yield from render_head(query)
    yield f'<body>\n<header><h1 dir="auto">{escape_html(query)}</h1>\n<p>{escape_html(about)}</p></header>\n'


def render_head(query: str) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{escape_html(query)} - clip-search</title>\n"
    yield f"<style>\n{STYLE_FILE.read_text(encoding='utf-8')}</style>\n</head>\n"


def render_navigation(sections: Sequence[Group]) -> Iterator[str]:
    yield '<nav aria-label="Groups"><ul>\n'
    for number, section in enumerate(sections):
        yield f'<li><a href="#group-{number}">{section_title(section)}</a></li>\n'
    yield "</ul></nav>\n"


def render_section(section: Group, number: int) -> Iterator[str]:
    title = section_title(section)
    yield f'<section aria-labelledby="group-{number}">\n<h2 id="group-{number}" dir="auto">{title}</h2>\n'
    yield from render_images(section.hits)
    yield "</section>\n"


def section_title(section: Group) -> str:
    return escape_html(section.name) or "(none)"


def render_images(hits: Sequence[Hit]) -> Iterator[str]:
    yield LIST.format("Images, best first")
    yield from map(render_item, hits)
    yield LIST_END


def render_item(image: Hit | StoredImage) -> str:
    """Return an element of the list."""
    return f"<li>{''.join(render_card(image))}</li>\n"


def render_card(hit: Hit | StoredImage) -> Iterator[str]:
    yield render_thumbnail(hit)
    label = f"<bdi>{escape_html(hit.label)}</bdi>" if hit.label else ""
    if isinstance(hit, Hit):
        yield f'<p class="facts"><span class="spoken">similarity </span><b>{hit.similarity:.3f}</b>'
        yield f" · {label}</p>" if label else "</p>"
    elif label:
        yield f'<p class="facts">{label}</p>'
    yield f'<p dir="auto">{escape_html(hit.caption)}</p>' if hit.caption else ""
    yield f'<p class="path"><bdi>{escape_html(hit.path)}</bdi></p>'
    yield f'<details><summary>more<span class="spoken"> about {escape_html(hit.path)}</span></summary><dl>'
    yield "".join(
        f'<dt>{escape_html(name)}</dt><dd dir="auto">{escape_html(value)}</dd>' for name, value in list_details(hit)
    )
    yield "</dl></details>"


def render_thumbnail(hit: Hit | StoredImage) -> str:
    """Return the thumbnail as a data URL; data that is not an image by its first bytes is left out."""
    media_type = next((kind for start, kind in MEDIA_TYPES.items() if (hit.thumbnail or b"").startswith(start)), None)
    if hit.thumbnail is None or media_type is None:
        return '<div class="none">no thumbnail</div>'
    data = base64.b64encode(hit.thumbnail).decode("ascii")
    alt = escape_html(hit.caption or hit.label or hit.path)
    image = f'<img src="data:{media_type};base64,{data}" alt="{alt}" loading="lazy" decoding="async">'
    return f'<div class="framed">{image}{render_regions(hit)}</div>' if isinstance(hit, Hit) and hit.regions else image


def render_regions(hit: Hit) -> str:
    """Return frames around the best regions, "" for a thumbnail that cannot be read."""
    decoded = decode_thumbnail(hit.thumbnail or b"")
    return render_frames([region.box for region in hit.regions], decoded.size) if decoded else ""


def list_details(image: Hit | StoredImage) -> Iterator[tuple[str, str]]:
    if isinstance(image, Hit):
        yield from list_hit_details(image)
    for name, value in image.properties.items():
        yield name, format_value(value)
    yield "id", image.id


def list_hit_details(hit: Hit) -> Iterator[tuple[str, str]]:
    yield "distance", f"{hit.distance:.4f}"
    if hit.whole is not None:
        yield "whole picture", f"{hit.whole:.3f}"
    for region in hit.regions:
        yield "region", format_region(region.similarity, region.box)
    if hit.score is not None:
        yield "score", f"{hit.score:.4f}"
    for path in hit.copies:
        yield "copy", path


def escape_html(text: str) -> str:
    """Escape for HTML text and attributes; control characters and invalid ones are written as `\\x1b`."""
    return escape("\n".join(map(escape_line, text.splitlines())), quote=True)
