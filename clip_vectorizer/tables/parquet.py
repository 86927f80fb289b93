"""Read rows of Parquet files in batches, only the columns that are used."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from clip_vectorizer.errors import InputError, SettingsError
from clip_vectorizer.images.formats import UNKNOWN, describe_content
from clip_vectorizer.tables.rows import ImageContent, InvalidRow, TableColumn, TableRow

BATCH_ROWS = 1024
# Of images in cells. Not by their size alone: a dictionary may store one image of 1 MB for all rows.
IMAGE_BATCH_ROWS = 16
IMAGE_BATCH_BYTES = 16_000_000
BUFFER_BYTES = 4_000_000  # without a buffer, a column of a row group is read whole: often 100 images or all of them

try:
    import pyarrow
    import pyarrow.parquet
    from pyarrow import types
except ImportError as error:
    raise SettingsError(
        "Parquet files need a package that is not installed; `pip install clip-vectorizer[parquet]`"
    ) from error


class ParquetFormat:
    def read_columns(self, open_file: Callable[[], BinaryIO]) -> Sequence[TableColumn]:
        with open_parquet(open_file) as file:
            features = read_features(file.schema_arrow.metadata or {})
            return [build_column(field, features.get(field.name)) for field in file.schema_arrow]

    def read_rows(self, open_file: Callable[[], BinaryIO], used: Sequence[str]) -> Iterator[TableRow | InvalidRow]:
        number = 0
        with open_parquet(open_file) as file:
            try:
                for batch in read_batches(file, used):
                    for row in list_rows(truncate_to_microseconds(batch), number + 1):
                        number += 1
                        yield row
            except (pyarrow.ArrowException, ValueError, OSError) as error:
                yield InvalidRow(number + 1, f"the table cannot be read from here on ({error})")


@contextmanager
def open_parquet(open_file: Callable[[], BinaryIO]) -> Iterator[Any]:
    with open_file() as file:
        try:
            parquet = pyarrow.parquet.ParquetFile(file, buffer_size=BUFFER_BYTES, pre_buffer=False)
            _ = [field.name for field in parquet.schema_arrow]
        except UnicodeDecodeError as error:
            raise InputError("a broken Parquet file, or the names of its columns are not UTF-8 text") from error
        except (pyarrow.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno:  # of the file system
                raise
            file.seek(0)
            what = describe_content(file.read(300))
            raise InputError(f"not a Parquet file, or a broken one ({error if what == UNKNOWN else what})") from error
        with parquet:
            yield parquet


def read_features(metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    """Return the types of the columns as `datasets` of Hugging Face notes them; {} for tables of other programs."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def build_column(field: Any, feature: Any) -> TableColumn:
    kind = find_feature_type(feature)
    images = find_images(field.type) if kind in ("", "Image", "Pdf") else None
    images = ImageContent.DECLARED if images and kind else images
    names = feature.get("names") if kind == "ClassLabel" else None
    unusable = str(field.type) if types.is_nested(field.type) or is_bytes(field.type) else ""
    return TableColumn(field.name, images, unusable, tuple(map(str, names)) if isinstance(names, list) else ())


def find_feature_type(feature: Any) -> str:
    """Return the type that a feature or the items of a list have: Image, ClassLabel, Audio, ...; "" if unknown."""
    while isinstance(feature, list) and feature:
        feature = feature[0]
    if not isinstance(feature, dict):
        return ""
    kind = feature.get("_type")
    if kind in ("Sequence", "List", "LargeList"):
        return find_feature_type(feature.get("feature"))
    return str(kind) if kind not in (None, "Value") else ""


def find_images(kind: Any) -> ImageContent | None:
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return find_images(kind.value_type)
    if types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        return ImageContent.DECLARED if is_bytes(fields.get("bytes", pyarrow.null())) else None
    return ImageContent.BYTES if is_bytes(kind) else None


def is_bytes(kind: Any) -> bool:
    return any(
        check(kind)
        for check in (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    )


def read_batches(file: Any, used: Sequence[str]) -> Iterator[Any]:
    with_images = any(find_images(file.schema_arrow.field(name).type) for name in used)
    for group in range(file.num_row_groups):
        rows = count_batch_rows(file.metadata.row_group(group)) if with_images else BATCH_ROWS
        yield from file.iter_batches(rows, row_groups=[group], columns=list(used), use_threads=False)


def count_batch_rows(group: Any) -> int:
    """Return how many rows of a row group to read at once, by the mean size of a row with all of its columns.

    The sizes of single columns are not read: over damaged metadata of a column, pyarrow ends the process.
    """
    return max(1, min(IMAGE_BATCH_ROWS, int(IMAGE_BATCH_BYTES * group.num_rows // max(1, group.total_byte_size))))


def list_rows(batch: Any, first: int) -> list[TableRow | InvalidRow]:
    """Return the rows of a batch; text that is not UTF-8 makes its own row invalid, and no other."""
    try:
        return [TableRow(number, fields) for number, fields in enumerate(batch.to_pylist(), first)]
    except ValueError as error:
        if len(batch) == 1:
            return [InvalidRow(first, f"its values cannot be read ({error})")]
        return [row for at in range(len(batch)) for row in list_rows(batch.slice(at, 1), first + at)]


def truncate_to_microseconds(batch: Any) -> Any:
    """Convert timestamps to microseconds: Python's datetime has no nanoseconds."""
    schema = batch.schema
    for index, field in enumerate(schema):
        if types.is_timestamp(field.type):
            schema = schema.set(index, field.with_type(pyarrow.timestamp("us", field.type.tz)))
    return batch.cast(schema, safe=False) if schema is not batch.schema else batch
