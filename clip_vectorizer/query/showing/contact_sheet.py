"""Hits as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

Its own policy (Content-Security-Policy) forbids all of that, whatever a caption may hold.
"""

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from clip_vectorizer.query.hits import Group, Hit
from clip_vectorizer.query.showing.output import on_one_line, value_text

STYLE = Path(__file__).with_suffix(".css")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}  # by a file's first bytes


def contact_sheet(question: str, about: str, sections: Sequence[Group], grouped: bool = False) -> Iterator[str]:
    """The page in pieces. `about`: a line below the question; `grouped`: the sections' names are headings."""
    yield from head(question)
    yield f'<body>\n<header><h1 dir="auto">{safe(question)}</h1>\n<p>{safe(about)}</p></header>\n'
    if grouped:
        yield from navigation(sections)
    yield "<main>\n"
    for number, section in enumerate(sections):
        yield from section_with_heading(section, number) if grouped else sheet(section.hits)
    yield "</main>\n</body>\n</html>\n"


def head(question: str) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{safe(question)} - clip-search</title>\n"
    yield f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n"


def navigation(sections: Sequence[Group]) -> Iterator[str]:
    yield '<nav aria-label="Groups"><ul>\n'
    for number, section in enumerate(sections):
        yield f'<li><a href="#group-{number}">{title(section)}</a></li>\n'
    yield "</ul></nav>\n"


def section_with_heading(section: Group, number: int) -> Iterator[str]:
    yield f'<section aria-labelledby="group-{number}">\n<h2 id="group-{number}" dir="auto">{title(section)}</h2>\n'
    yield from sheet(section.hits)
    yield "</section>\n"


def title(section: Group) -> str:
    return safe(section.name) or "(none)"


def sheet(hits: Sequence[Hit]) -> Iterator[str]:
    yield '<ol class="sheet" role="list" aria-label="Images, best first">\n'  # role: Safari takes it for no list else
    for hit in hits:
        yield f"<li>{''.join(card(hit))}</li>\n"
    yield "</ol>\n"


def card(hit: Hit) -> Iterator[str]:
    yield shown(hit)
    yield f'<p class="facts"><span class="spoken">similarity </span><b>{hit.similarity:.3f}</b>'
    yield f" · <bdi>{safe(hit.label)}</bdi></p>" if hit.label else "</p>"
    yield f'<p dir="auto">{safe(hit.caption)}</p>' if hit.caption else ""
    yield f'<p class="path"><bdi>{safe(hit.path)}</bdi></p>'
    yield f'<details><summary>more<span class="spoken"> about {safe(hit.path)}</span></summary><dl>'
    yield "".join(f'<dt>{safe(name)}</dt><dd dir="auto">{safe(value)}</dd>' for name, value in facts(hit))
    yield "</dl></details>"


def shown(hit: Hit) -> str:
    """The thumbnail; what is no picture by its first bytes is left out."""
    kind = next((kind for start, kind in KINDS.items() if (hit.thumbnail or b"").startswith(start)), None)
    if hit.thumbnail is None or kind is None:
        return '<div class="none">no thumbnail</div>'
    data = base64.b64encode(hit.thumbnail).decode("ascii")
    says = safe(hit.caption or hit.label or hit.path)
    return f'<img src="data:{kind};base64,{data}" alt="{says}" loading="lazy" decoding="async">'


def facts(hit: Hit) -> Iterator[tuple[str, str]]:
    yield "distance", f"{hit.distance:.4f}"
    if hit.score is not None:
        yield "score", f"{hit.score:.4f}"
    for path in hit.copies:
        yield "copy", path
    for name, value in hit.properties.items():
        yield name, value_text(value)
    yield "id", hit.id


def safe(text: str) -> str:
    """Escaped for text and attributes; what of an odd file name is no character is spelt out."""
    return escape("\n".join(map(on_one_line, text.splitlines())), quote=True)
