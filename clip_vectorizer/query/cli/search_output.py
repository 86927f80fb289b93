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

from clip_vectorizer.query.display.tables import (
    check_stdout,
    format_value,
    is_terminal,
    print_json,
    print_output,
    print_table,
)
from clip_vectorizer.query.display.thumbnails import COLUMNS, DrawingMethod, choose_method, draw_thumbnail
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.terminal import escape_line

HIT_FIELDS = ("path", "similarity", "distance", "id", "label", "caption")
NO_VALUE = "(none)"  # a group's name, where its images lack the property
NUL = b"\0"


@dataclass(frozen=True, slots=True)
class HitFields:
    """What is told of a hit beside what every one has: what was asked for."""

    group: bool = False
    score: bool = False
    copies: bool = False
    properties: tuple[str, ...] = ()
    vector: bool = False
    thumbnail: bool = False


def show_as_json(sections: Sequence[Group], details: HitFields) -> None:
    """One object a hit: first what every hit has, then the group, then what was asked for."""
    for section in sections:
        for hit in section.hits:
            print_json(hit_fields(hit, section.name, details))


def hit_fields(hit: Hit, group: str, details: HitFields) -> dict[str, object]:
    more = {"group": group, "score": hit.score, "copies": hit.copies}
    asked = {name: value for name, value in more.items() if getattr(details, name)}
    return {name: getattr(hit, name) for name in HIT_FIELDS} | asked | stored_fields(hit, details)


def stored_fields(image: Hit | StoredImage, details: HitFields) -> dict[str, object]:
    """What was asked for of what is stored with an image."""
    more: dict[str, object] = {
        "properties": {name: image.properties.get(name) for name in details.properties},
        "vector": None if image.vector is None else image.vector.tolist(),
        "thumbnail": base64.b64encode(image.thumbnail).decode("ascii") if image.thumbnail else None,
    }
    return {name: value for name, value in more.items() if getattr(details, name)}


def show_paths(images: Iterable[Hit | StoredImage]) -> None:
    """For `xargs -0`: the bytes of the names, whatever is in them."""
    for image in images:
        print_output(image.path.encode("utf-8", "surrogateescape") + NUL, newline=False)


def show_for_people(sections: Sequence[Group], details: HitFields, way: DrawingMethod | None) -> None:
    """In a terminal section by section; into a pipe one line a hit, its group in front."""
    if way or is_terminal():
        for number, section in enumerate(sections):
            if details.group:
                print_output("\n" * bool(number) + format_heading(section))
            show_section(section.hits, details, way)
    else:
        front = [[section.name] if details.group else [] for section in sections for _ in section.hits]
        rows = [format_row(hit, details) for section in sections for hit in section.hits]
        names = [*(["group"] if details.group else []), *column_names(details)]
        print_table(names, [[*group, *row] for group, row in zip(front, rows, strict=True)])


def choose_thumbnail_protocol(thumbnails: bool | None) -> DrawingMethod | None:
    """How pictures can be shown on stdout, if at all."""
    return choose_method(os.environ, is_terminal(), thumbnails, shutil.get_terminal_size().columns)


def format_heading(section: Group) -> str:
    return click.style(escape_line(section.name) or NO_VALUE, bold=True, underline=True)


def show_section(hits: Sequence[Hit], details: HitFields, way: DrawingMethod | None) -> None:
    if way is None:
        print_table(column_names(details), [format_row(hit, details) for hit in hits])
    else:
        check_stdout()
        console = Console(force_terminal=True, color_system="truecolor", highlight=False)
        console.print(build_cards(hits, details, way))


def column_names(details: HitFields) -> list[str]:
    more = [name for name in ("score", "copies") if getattr(details, name)]
    return ["similarity", "path", "label", "caption", *more, *details.properties]


def format_row(hit: Hit, details: HitFields) -> list[str]:
    more = {"score": "" if hit.score is None else f"{hit.score:.3f}", "copies": ", ".join(hit.copies)}
    asked = [more[name] for name in more if getattr(details, name)]
    values = [format_value(hit.properties.get(name)) for name in details.properties]
    return [f"{hit.similarity:.3f}", hit.path, hit.label, hit.caption, *asked, *values]


def build_cards(hits: Sequence[Hit], details: HitFields, way: DrawingMethod) -> Table:
    """A picture to the left, to the right of it what is told of the hit; long paths fold."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=COLUMNS)
    table.add_column(overflow="fold")
    for number, hit in enumerate(hits):
        if number:
            table.add_row()  # two pictures that touch look like one
        table.add_row(draw_thumbnail(hit.thumbnail, way), build_card(hit, details))
    return table


def build_card(hit: Hit, details: HitFields) -> Text:
    similarity, path, label, caption, *more = (escape_line(cell) for cell in format_row(hit, details))
    lines = [Text(path, "bold"), Text(" · ".join(filter(None, [f"similarity {similarity}", label]))), Text(caption)]
    named = zip(column_names(details)[4:], more, strict=True)
    lines += [Text(f"{name}: {value}") for name, value in named if value]
    return Text("\n").join(line for line in lines if line)
