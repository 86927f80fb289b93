"""Captioned images of a Parquet file: in its cells, as Hugging Face's `datasets` writes them, or named by paths."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from clip_vectorizer.errors import InputError
from clip_vectorizer.tables.rows import InvalidRow, TableColumn
from clip_vectorizer.training.captioned_images import (
    PATH_COLUMNS,
    CaptionColumns,
    choose_column,
    clean_captions,
)
from clip_vectorizer.training.image_copies import SourceImage

PARQUET_SUFFIX = ".parquet"


def is_parquet(source: Path) -> bool:
    return source.suffix.lower() == PARQUET_SUFFIX


def read_parquet_images(table: Path, columns: CaptionColumns) -> Iterator[SourceImage]:
    """Yield the images; rows of one path are one image with several captions.

    Raises InputError for a file that is no table, and for a row that cannot be read; SettingsError without pyarrow.
    """
    from clip_vectorizer.tables.parquet import ParquetFormat  # needs an extra

    open_file, reader = partial(open_binary, table), ParquetFormat()
    try:
        found = reader.read_columns(open_file)
        chosen = choose_parquet_columns(table, found, columns)
    except InputError as error:
        raise error if str(table) in str(error) else InputError(f"{table}: {error}") from error
    names = next(column.labels for column in found if column.name == chosen.caption)
    paths: dict[str, list[str]] = {}
    for row in reader.read_rows(open_file, list(dict.fromkeys((chosen.path, chosen.caption)))):
        if isinstance(row, InvalidRow):
            raise InputError(f"{table} row {row.number}: {row.reason}")
        captions = clean_captions(name_label(row.fields.get(chosen.caption), names))
        content = read_cell(row.fields.get(chosen.path))
        if isinstance(content, bytes):
            yield SourceImage(f"{row.number:09d}", tuple(captions), content)
        elif content:
            paths.setdefault(content, []).extend(captions)
    for path, captions in paths.items():
        yield SourceImage(path, tuple(dict.fromkeys(captions)), table.parent / path)


def choose_parquet_columns(table: Path, found: Sequence[TableColumn], columns: CaptionColumns) -> CaptionColumns:
    """Choose by name; where none is usual, the column that has images. Raises InputError."""
    names: Mapping[str, None] = {column.name: None for column in found}
    with_images = [column.name for column in found if column.images]
    has_usual = any(name.lower() in PATH_COLUMNS for name in names)
    path = with_images[0] if not columns.path and not has_usual and len(with_images) == 1 else columns.path
    return CaptionColumns(
        choose_column(table, names, path, PATH_COLUMNS, "--path-column"),
        choose_column(table, names, columns.caption, columns.usual_captions, columns.caption_option),
    )


def name_label(value: object, names: Sequence[str]) -> object:
    """Return the name of a label that is stored as its number; -1 stands for none."""
    if not names or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None


def open_binary(file: Path) -> BinaryIO:
    return file.open("rb")


def read_cell(value: object) -> bytes | str:
    """Return an image or its path; "" for an empty cell."""
    if isinstance(value, Mapping):
        return read_cell(value.get("bytes") or value.get("path"))
    if isinstance(value, bytes):
        return value
    return value.strip() if isinstance(value, str) else ""
