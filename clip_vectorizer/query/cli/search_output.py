"""Output of `clip-search`: JSON lines, paths, a table, hits with thumbnails, a contact sheet."""

import base64
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clip_vectorizer.query.display.contact_sheet import render_contact_sheet
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
from clip_vectorizer.query.near_strings import SimilarString
from clip_vectorizer.terminal import escape_line

STDOUT = Path("-")
HIT_FIELDS = ("path", "similarity", "distance", "id", "label", "caption")
LIST_COLUMNS = ("path", "id", "label", "caption")
NO_VALUE = "(none)"  # name of the group of images without the property
NUL = b"\0"


@dataclass(frozen=True, slots=True)
class HitFields:
    """Optional fields to print for a hit."""

    group: bool = False
    score: bool = False
    copies: bool = False
    properties: tuple[str, ...] = ()
    vector: bool = False
    thumbnail: bool = False


def show_as_json(sections: Sequence[Group], fields: HitFields) -> None:
    """One object per hit: the fields of every hit, then the group, then the optional fields."""
    for section in sections:
        for hit in section.hits:
            print_json(hit_fields(hit, section.name, fields))


def hit_fields(hit: Hit, group: str, fields: HitFields) -> dict[str, object]:
    more = {"group": group, "score": hit.score, "copies": hit.copies}
    chosen = {name: value for name, value in more.items() if getattr(fields, name)}
    return {name: getattr(hit, name) for name in HIT_FIELDS} | chosen | stored_fields(hit, fields)


def stored_fields(image: Hit | StoredImage, fields: HitFields) -> dict[str, object]:
    """The optional fields that are stored with an image."""
    more: dict[str, object] = {
        "properties": {name: image.properties.get(name) for name in fields.properties},
        "vector": None if image.vector is None else image.vector.tolist(),
        "thumbnail": base64.b64encode(image.thumbnail).decode("ascii") if image.thumbnail else None,
    }
    return {name: value for name, value in more.items() if getattr(fields, name)}


def show_paths(images: Iterable[Hit | StoredImage]) -> None:
    """For `xargs -0`: the exact bytes of the names."""
    for image in images:
        print_output(image.path.encode("utf-8", "surrogateescape") + NUL, newline=False)


def show_for_people(sections: Sequence[Group], fields: HitFields, method: DrawingMethod | None) -> None:
    """In a terminal section by section; into a pipe one line per hit, its group first."""
    if method or is_terminal():
        for number, section in enumerate(sections):
            if fields.group:
                print_output("\n" * bool(number) + format_heading(section))
            show_section(section.hits, fields, method)
    else:
        front = [[section.name] if fields.group else [] for section in sections for _ in section.hits]
        rows = [format_row(hit, fields) for section in sections for hit in section.hits]
        names = [*(["group"] if fields.group else []), *column_names(fields)]
        print_table(names, [[*group, *row] for group, row in zip(front, rows, strict=True)])


def choose_thumbnail_method(thumbnails: bool | None) -> DrawingMethod | None:
    """How stdout can show thumbnails, if at all. `thumbnails`: --thumbnails, --no-thumbnails, None: automatic."""
    return choose_method(os.environ, is_terminal(), thumbnails, shutil.get_terminal_size().columns)


def format_heading(section: Group) -> str:
    return click.style(escape_line(section.name) or NO_VALUE, bold=True, underline=True)


def show_section(hits: Sequence[Hit], fields: HitFields, method: DrawingMethod | None) -> None:
    if method is None:
        print_table(column_names(fields), [format_row(hit, fields) for hit in hits])
    else:
        check_stdout()
        console = Console(force_terminal=True, color_system="truecolor", highlight=False)
        console.print(build_cards(hits, fields, method))


def column_names(fields: HitFields) -> list[str]:
    more = [name for name in ("score", "copies") if getattr(fields, name)]
    return ["similarity", "path", "label", "caption", *more, *fields.properties]


def format_row(hit: Hit, fields: HitFields) -> list[str]:
    more = {"score": "" if hit.score is None else f"{hit.score:.3f}", "copies": ", ".join(hit.copies)}
    chosen = [more[name] for name in more if getattr(fields, name)]
    return [f"{hit.similarity:.3f}", hit.path, hit.label, hit.caption, *chosen, *format_properties(hit, fields)]


def build_cards(hits: Sequence[Hit], fields: HitFields, method: DrawingMethod) -> Table:
    """A thumbnail on the left, the hit's fields on the right; long paths are folded."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=COLUMNS)
    table.add_column(overflow="fold")
    for number, hit in enumerate(hits):
        if number:
            table.add_row()  # two thumbnails that touch look like one
        table.add_row(draw_thumbnail(hit.thumbnail, method), build_card(hit, fields))
    return table


def build_card(hit: Hit, fields: HitFields) -> Text:
    similarity, path, label, caption, *more = (escape_line(cell) for cell in format_row(hit, fields))
    lines = [Text(path, "bold"), Text(" · ".join(filter(None, [f"similarity {similarity}", label]))), Text(caption)]
    named = zip(column_names(fields)[4:], more, strict=True)
    lines += [Text(f"{name}: {value}") for name, value in named if value]
    return Text("\n").join(line for line in lines if line)


def write_sheet(file: Path, title: str, collection: str, sections: Sequence[Group], grouped: bool) -> None:
    """A contact sheet, to standard output or to a file, which is then named on stderr."""
    count = sum(len(section.hits) for section in sections)
    images = f"{count} image{'s' * (count != 1)}"
    pieces = render_contact_sheet(title, f"{images} of the collection {collection}, best first", sections, grouped)
    if file == STDOUT:
        for piece in pieces:
            print_output(piece.encode("utf-8", "backslashreplace"), newline=False)
        return
    try:
        with file.open("w", encoding="utf-8", errors="backslashreplace") as opened:
            opened.writelines(pieces)
    except OSError as error:  # the text of a full disk names no file
        raise OSError(error.errno, error.strerror, str(file)) from error
    click.echo(f"{file}: {images}", err=True)


def show_list_as_json(images: Iterable[StoredImage], fields: HitFields) -> None:
    for image in images:
        print_json({name: getattr(image, name) for name in LIST_COLUMNS} | stored_fields(image, fields))


def show_list(images: Iterable[StoredImage], fields: HitFields) -> None:
    rows = [[*(getattr(image, name) for name in LIST_COLUMNS), *format_properties(image, fields)] for image in images]
    if rows:
        print_table([*LIST_COLUMNS, *fields.properties], rows)
    else:
        click.echo("no images: the collection is empty, or no image is left by --where or --after", err=True)


def format_properties(image: Hit | StoredImage, fields: HitFields) -> list[str]:
    return [format_value(image.properties.get(name)) for name in fields.properties]


def show_distances(similar: Sequence[SimilarString], as_json: bool) -> None:
    if as_json:
        for each in similar:
            print_json({"text": each.text, "distance": each.distance})
        return
    print_table(("distance", "text"), [(str(each.distance), each.text) for each in similar])
