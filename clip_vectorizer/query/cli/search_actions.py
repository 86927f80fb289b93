"""What `clip-search` does: search, explain, list images or compare strings, then print."""

import base64
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clip_vectorizer.counts import format_count
from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.defaults import MAX_RESULTS, STDIN
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.near_strings import SimilarString, similar_strings
from clip_vectorizer.query.choices import PROPERTY_MARK
from clip_vectorizer.query.cli.connection import open_search
from clip_vectorizer.query.cli.saved import list_left_out
from clip_vectorizer.query.cli.search_request import (
    STDOUT,
    HitFields,
    ListCommandRequest,
    SearchCommandRequest,
    StringSearchRequest,
    build_request,
)
from clip_vectorizer.query.display.contact_sheet import render_contact_sheet
from clip_vectorizer.query.display.tables import (
    check_stdout,
    format_region,
    format_value,
    is_terminal,
    prepare_streams,
    print_json,
    print_output,
    print_table,
)
from clip_vectorizer.query.display.thumbnails import COLUMNS, DrawingMethod, draw_thumbnail
from clip_vectorizer.query.explain import Explanation
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.property_values import list_property_values
from clip_vectorizer.query.saved_searches import SavedSearch, build_picture_mismatch
from clip_vectorizer.query.search.arguments import SearchArguments
from clip_vectorizer.query.search.query import Query
from clip_vectorizer.terminal import escape_line

HIT_FIELDS = ("path", "similarity", "distance", "id", "label", "caption")
LIST_COLUMNS = ("path", "id", "label", "caption")
CUT_COLUMNS = ("caption", "label")  # where a terminal is too narrow
NO_VALUE = "(none)"  # name of the group of images without the property
NUL = b"\0"


def run(values: Mapping[str, Any], saved: SavedSearch | None = None) -> None:
    """`values`: the command's parameters; `saved`: the search that they were read from.

    Raises what connecting and searching raise.
    """
    prepare_streams()
    match build_saved_request(values, saved) if saved else build_request(values):
        case StringSearchRequest() as request:
            compare_strings(request, values)
        case ListCommandRequest() as request:
            with open_search(values) as images:
                list_images(images, request)
        case SearchCommandRequest() as request:
            with open_search(values) as images:
                check_pictures(saved, images)
                if request.explain:
                    print_output(str(explain(images, request)))
                    return
                sections = search(images, request)
            show(sections, request, values["collection"])


def build_saved_request(
    values: Mapping[str, Any], saved: SavedSearch
) -> SearchCommandRequest | ListCommandRequest | StringSearchRequest:
    """The pictures that were sent to the page are parts of the query."""
    if names := list_left_out(saved):
        click.echo(f"without {', '.join(names)} of the saved search, which only the page has", err=True)
    request = build_request(values, [Query.vector(each.vector) for each in saved.pictures])
    return replace(request, title=saved.name) if isinstance(request, SearchCommandRequest) else request


def check_pictures(saved: SavedSearch | None, images: ImageSearch) -> None:
    """Raises Mismatch for a saved picture that another model embedded."""
    for each in saved.pictures if saved else ():
        if not each.model.agrees_with(images.info):
            raise Mismatch(build_picture_mismatch(each.name, each.model, images.info))


def search(images: ImageSearch, request: SearchCommandRequest) -> list[Group]:
    """The groups; without --group-by a single one that holds all hits."""
    if request.group_by is None:
        return [Group("", tuple(images.find(request.query, **request.arguments)))]
    groups, arguments = split_group_arguments(request)
    return images.groups(request.query, request.group_by, request.per_group, groups, **arguments)


def explain(images: ImageSearch, request: SearchCommandRequest) -> Explanation:
    if request.group_by is None:
        return images.explain(request.query, **request.arguments)
    groups, arguments = split_group_arguments(request)
    return images.explain_groups(request.query, request.group_by, request.per_group, groups, **arguments)


def split_group_arguments(request: SearchCommandRequest) -> tuple[int, SearchArguments]:
    """With --group-by, --limit counts groups."""
    arguments = request.arguments.copy()
    return arguments.pop("limit"), arguments


def list_images(images: ImageSearch, request: ListCommandRequest) -> None:
    """JSON lines and paths are printed as they come."""
    fields = request.fields
    wanted: dict[str, Any] = {
        "filters": request.filters or None,
        "return_properties": fields.properties,
        "include_vector": fields.vector,
        "include_thumbnail": fields.thumbnail,
    }
    listed: Iterable[StoredImage]
    if request.newest:
        listed = images.newest(request.limit or MAX_RESULTS, **wanted)
    else:
        listed = islice(images.iterate(after=request.after, **wanted), request.limit)
    if request.as_json:
        show_list_as_json(listed, fields)
    elif request.nul:
        show_paths(listed)
    else:
        show_list(listed, fields)


def show(sections: Sequence[Group], request: SearchCommandRequest, collection: str) -> None:
    hits = [hit for section in sections for hit in section.hits]
    if not hits:
        click.echo(f"nothing found: {request.why_nothing}", err=True)
    if request.html:
        write_sheet(request.html, request.title, collection, sections, request.fields.group)
    elif request.as_json:
        show_as_json(sections, request.fields)
    elif request.nul:
        show_paths(hits)
    elif hits:
        show_for_people(sections, request.fields, request.thumbnails)


def compare_strings(request: StringSearchRequest, values: Mapping[str, Any]) -> None:
    """Prints the strings with the least edit distance to the text, nearest first. Raises InputError."""
    strings = read_strings(request.source, values)
    if not strings:
        raise InputError(f"--similar-strings {request.source}: no strings in it; expected one per line")
    show_distances(similar_strings(request.text, strings, request.limit), request.as_json)


def read_strings(source: str, values: Mapping[str, Any]) -> list[str]:
    """The lines of a file, or the values of a property: the only case that connects to Weaviate."""
    if not source.lower().startswith(PROPERTY_MARK):
        return read_text_lines(source)
    name, url = source[len(PROPERTY_MARK) :], values["weaviate_url"]
    with connect_weaviate(url, values["weaviate_grpc_port"], values["weaviate_api_key"]) as client:
        return list_property_values(client, url, name, values["collection"], values["tenant"])


def read_text_lines(source: str) -> list[str]:
    """Lines that are not blank. Only line feeds end a line: file names may hold other separators."""
    try:
        text = (sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--similar-strings {source}: {error}; name a UTF-8 text file with one string per line, "
            "- for standard input, or PROPERTY:label"
        ) from error
    return [line for line in (each.removesuffix("\r") for each in text.split("\n")) if line.strip()]


def show_as_json(sections: Sequence[Group], fields: HitFields) -> None:
    """One object per hit: the fields of every hit, then the group, then the optional fields."""
    for section in sections:
        for hit in section.hits:
            print_json(hit_fields(hit, section.name, fields))


def hit_fields(hit: Hit, group: str, fields: HitFields) -> dict[str, object]:
    more = {"group": group, "score": hit.score, "copies": hit.copies}
    chosen = {name: value for name, value in more.items() if getattr(fields, name)}
    regions = region_fields(hit) if fields.regions else {}
    return {name: getattr(hit, name) for name in HIT_FIELDS} | chosen | regions | stored_fields(hit, fields)


def region_fields(hit: Hit) -> dict[str, object]:
    return {"whole": hit.whole, "regions": [asdict(region) for region in hit.regions]}


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


def format_heading(section: Group) -> str:
    return click.style(escape_line(section.name) or NO_VALUE, bold=True, underline=True)


def show_section(hits: Sequence[Hit], fields: HitFields, method: DrawingMethod | None) -> None:
    if method is None:
        print_table(column_names(fields), [format_row(hit, fields) for hit in hits], CUT_COLUMNS)
    else:
        check_stdout()
        console = Console(force_terminal=True, color_system="truecolor", highlight=False)
        console.print(build_cards(hits, fields, method))


def column_names(fields: HitFields) -> list[str]:
    more = [name for name in ("score", "copies") if getattr(fields, name)]
    more += ["region"] if fields.regions else []
    return ["similarity", "path", "label", "caption", *more, *fields.properties]


def format_row(hit: Hit, fields: HitFields) -> list[str]:
    more = {"score": "" if hit.score is None else f"{hit.score:.3f}", "copies": ", ".join(hit.copies)}
    chosen = [more[name] for name in more if getattr(fields, name)]
    chosen += [format_best_region(hit)] if fields.regions else []
    return [f"{hit.similarity:.3f}", hit.path, hit.label, hit.caption, *chosen, *format_properties(hit, fields)]


def format_best_region(hit: Hit) -> str:
    return format_region(hit.regions[0].similarity, hit.regions[0].box) if hit.regions else ""


def build_cards(hits: Sequence[Hit], fields: HitFields, method: DrawingMethod) -> Table:
    """A thumbnail on the left, the hit's fields on the right; long paths are folded."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=COLUMNS)
    table.add_column(overflow="fold")
    for number, hit in enumerate(hits):
        if number:
            table.add_row()  # two thumbnails that touch look like one
        table.add_row(
            draw_thumbnail(hit.thumbnail, method, [region.box for region in hit.regions[:1]]), build_card(hit, fields)
        )
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
    images = format_count(count, "image")
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
        print_table([*LIST_COLUMNS, *fields.properties], rows, CUT_COLUMNS)
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
