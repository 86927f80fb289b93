"""How `clip-search` shows what it found: lines of JSON, paths, a table, or each hit beside its thumbnail."""

import base64
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clip_vectorizer.query.hits import Group, Hit, Listed
from clip_vectorizer.query.showing.output import (
    check_stdout,
    is_terminal,
    on_one_line,
    say,
    show_json,
    show_table,
    value_text,
)
from clip_vectorizer.query.showing.thumbnails import COLUMNS, Way, picture, way_to_draw

ALWAYS = ("path", "similarity", "distance", "id", "label", "caption")
NO_VALUE = "(none)"  # a group's name, where its images lack the property
NUL = b"\0"


@dataclass(frozen=True, slots=True)
class Details:
    """What is told of a hit beside what every one has: what was asked for."""

    group: bool = False
    score: bool = False
    copies: bool = False
    properties: tuple[str, ...] = ()
    vector: bool = False
    thumbnail: bool = False


def show_as_json(sections: Sequence[Group], details: Details) -> None:
    """One object a hit: first what every hit has, then the group, then what was asked for."""
    for section in sections:
        for hit in section.hits:
            show_json(hit_json(hit, section.name, details))


def hit_json(hit: Hit, group: str, details: Details) -> dict[str, object]:
    more = {"group": group, "score": hit.score, "copies": hit.copies}
    asked = {name: value for name, value in more.items() if getattr(details, name)}
    return {name: getattr(hit, name) for name in ALWAYS} | asked | stored_json(hit, details)


def stored_json(image: Hit | Listed, details: Details) -> dict[str, object]:
    """What was asked for of what is stored with an image."""
    more: dict[str, object] = {
        "properties": {name: image.properties.get(name) for name in details.properties},
        "vector": None if image.vector is None else image.vector.tolist(),
        "thumbnail": base64.b64encode(image.thumbnail).decode("ascii") if image.thumbnail else None,
    }
    return {name: value for name, value in more.items() if getattr(details, name)}


def show_paths(images: Iterable[Hit | Listed]) -> None:
    """For `xargs -0`: the bytes of the names, whatever is in them."""
    for image in images:
        say(image.path.encode("utf-8", "surrogateescape") + NUL, newline=False)


def show_for_people(sections: Sequence[Group], details: Details, way: Way | None) -> None:
    """In a terminal section by section; into a pipe one line a hit, its group in front."""
    if way or is_terminal():
        for number, section in enumerate(sections):
            if details.group:
                say("\n" * bool(number) + heading(section))
            show_section(section.hits, details, way)
    else:
        front = [[section.name] if details.group else [] for section in sections for _ in section.hits]
        rows = [cells(hit, details) for section in sections for hit in section.hits]
        names = [*(["group"] if details.group else []), *columns(details)]
        show_table(names, [[*group, *row] for group, row in zip(front, rows, strict=True)])


def terminal_way(thumbnails: bool | None) -> Way | None:
    """How pictures can be shown on stdout, if at all."""
    return way_to_draw(os.environ, is_terminal(), thumbnails, shutil.get_terminal_size().columns)


def heading(section: Group) -> str:
    return click.style(on_one_line(section.name) or NO_VALUE, bold=True, underline=True)


def show_section(hits: Sequence[Hit], details: Details, way: Way | None) -> None:
    if way is None:
        show_table(columns(details), [cells(hit, details) for hit in hits])
    else:
        check_stdout()
        console = Console(force_terminal=True, color_system="truecolor", highlight=False)
        console.print(cards(hits, details, way))


def columns(details: Details) -> list[str]:
    more = [name for name in ("score", "copies") if getattr(details, name)]
    return ["similarity", "path", "label", "caption", *more, *details.properties]


def cells(hit: Hit, details: Details) -> list[str]:
    more = {"score": "" if hit.score is None else f"{hit.score:.3f}", "copies": ", ".join(hit.copies)}
    asked = [more[name] for name in more if getattr(details, name)]
    values = [value_text(hit.properties.get(name)) for name in details.properties]
    return [f"{hit.similarity:.3f}", hit.path, hit.label, hit.caption, *asked, *values]


def cards(hits: Sequence[Hit], details: Details, way: Way) -> Table:
    """A picture to the left, to the right of it what is told of the hit; long paths fold."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=COLUMNS)
    table.add_column(overflow="fold")
    for number, hit in enumerate(hits):
        if number:
            table.add_row()  # two pictures that touch look like one
        table.add_row(picture(hit.thumbnail, way), card(hit, details))
    return table


def card(hit: Hit, details: Details) -> Text:
    similarity, path, label, caption, *more = (on_one_line(cell) for cell in cells(hit, details))
    lines = [Text(path, "bold"), Text(" · ".join(filter(None, [f"similarity {similarity}", label]))), Text(caption)]
    named = zip(columns(details)[4:], more, strict=True)
    lines += [Text(f"{name}: {value}") for name, value in named if value]
    return Text("\n").join(line for line in lines if line)
