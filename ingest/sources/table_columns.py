"""Which columns of a table are read: of images or their paths, labels, captions and properties."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from clip_vectorizer.errors import InputError
from clip_vectorizer.public_urls import strip_secrets
from clip_vectorizer.tables.rows import ImageContent, TableColumn
from ingest.sources.base import SourceOptions
from ingest.sources.entries import is_entry
from ingest.sources.urls import is_url

# The column of paths is the first of these names that the table has, in upper or lower case.
PATH_COLUMNS = (
    *("path", "file", "filename", "file_name", "filepath", "image", "image_path", "image_url", "url", "uri"),
    *("img", "images", "jpg", "jpeg", "png", "webp"),
)
# Of a table with images in its cells, columns that may name them, and columns that may hold them.
NAME_COLUMNS = ("file_name", "filename", "path", "file", "__key__")
IMAGE_COLUMNS = (*PATH_COLUMNS, "content", "bytes", "image_bytes")
MAX_NAMED_COLUMNS = 30


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    path: str  # of paths, URLs or images
    name: str | None  # of images that have no path
    label: str | None
    caption: str | None
    used: tuple[str, ...]  # all columns that are read, without duplicates
    label_names: tuple[str, ...] = ()  # of the labels 0, 1, ...


def choose_columns(columns: Sequence[TableColumn], options: SourceOptions) -> ColumnChoice:
    """Choose the columns to read. Raises InputError, which lists the table's columns, if one is missing or unusable."""
    names = [column.name for column in columns]
    path = find_column(options.path_column, names, "--path-column") or find_path_column(columns)
    if path is None:
        check_column_names(names)
        check_header(names)
        raise InputError(
            f"none of its columns is called {', '.join(PATH_COLUMNS)}; {format_columns(names)}; choose by --path-column"
        )
    label = find_column(options.label_column, names, "--label-column") or find_usual_column(("label",), names)
    caption = find_column(options.caption_column, names, "--caption-column") or find_usual_column(("caption",), names)
    mapped = [find_column(column.name, names, "--property") for column in options.columns]
    by_name = {column.name: column for column in columns}
    check_path_column(by_name[path])
    check_text_columns([by_name[name] for name in (label, caption, *mapped) if name])
    name = find_name_column(columns, path) if by_name[path].images else None
    used = dict.fromkeys(each for each in (path, name, label, caption, *mapped) if each)
    for each in used:
        if names.count(each) > 1:
            raise InputError(f"has {names.count(each)} columns called {each!r}; give them different names")
    return ColumnChoice(path, name, label, caption, tuple(used), by_name[label].labels if label else ())


def check_header(names: Sequence[str]) -> None:
    """Raises InputError for a table whose first line names an image instead of columns."""
    if named := next((name for name in names if is_url(name) or is_entry(name)), None):
        shown = strip_secrets(named) if is_url(named) else named
        raise InputError(
            f"its first line must name the columns, and names {shown}; put a line such as `url,label` above it, "
            "or save a list of addresses as .txt"
        )


def find_path_column(columns: Sequence[TableColumn]) -> str | None:
    """Find the column of images: by a usual name, by its type, or as the only one with bytes. Else that of paths.

    Raises InputError if several columns are declared to be images, and none has a usual name.
    """
    with_images = [column.name for column in columns if column.images]
    declared = [column.name for column in columns if column.images is ImageContent.DECLARED]
    if usual := find_usual_column(IMAGE_COLUMNS, with_images):
        return usual
    if len(declared) > 1:
        raise InputError(f"has images in {', '.join(map(repr, declared))}; choose one by --path-column")
    if declared:
        return declared[0]
    return find_usual_column(PATH_COLUMNS, [column.name for column in columns]) or (
        with_images[0] if len(with_images) == 1 else None
    )


def find_name_column(columns: Sequence[TableColumn], path: str) -> str | None:
    return find_usual_column(
        NAME_COLUMNS, [column.name for column in columns if not column.unusable and column.name != path]
    )


def check_path_column(column: TableColumn) -> None:
    if column.unusable and not column.images:
        raise InputError(
            f"its column {column.name!r} holds {column.unusable}: neither paths nor image files; "
            "choose another by --path-column"
        )


def check_text_columns(columns: Sequence[TableColumn]) -> None:
    for column in columns:
        if column.images or "binary" in column.unusable:
            raise InputError(f"its column {column.name!r} holds {column.unusable}, which no property takes")


def find_column(name: str | None, columns: Sequence[str], option: str) -> str | None:
    if name is None or name in columns:
        return name
    check_column_names(columns)
    close = get_close_matches(name, columns, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise InputError(f"has no column {name!r}, which {option} names{hint} ({format_columns(columns)})")


def check_column_names(columns: Sequence[str]) -> None:
    """Raises InputError for names that are not UTF-8: an option cannot name them, an error cannot show them."""
    try:
        "".join(columns).encode()
    except UnicodeEncodeError as error:
        raise InputError("the names of its columns are not UTF-8 text; save it as UTF-8 (Excel: CSV UTF-8)") from error


def find_usual_column(names: Sequence[str], columns: Sequence[str]) -> str | None:
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), None)


def format_columns(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - MAX_NAMED_COLUMNS} more" if len(columns) > MAX_NAMED_COLUMNS else ""
    return "it has " + (", ".join(map(repr, columns[:MAX_NAMED_COLUMNS])) + more if columns else "none")
