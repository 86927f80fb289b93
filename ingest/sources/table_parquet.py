"""Read rows of Parquet files in batches, only the columns that are used."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from clip_vectorizer.errors import InputError, SettingsError
from ingest.sources.base import FileOpener, InvalidRow, TableRow

BATCH_ROWS = 1024

try:
    import pyarrow
    import pyarrow.parquet
except ImportError as error:
    raise SettingsError(
        "Parquet files need a package that is not installed; `pip install clip-vectorizer[parquet]`"
    ) from error


class ParquetFormat:
    def read_columns(self, open_file: FileOpener) -> Sequence[str]:
        with open_parquet(open_file) as file:
            return list(file.schema_arrow.names)

    def read_rows(self, open_file: FileOpener, used: Sequence[str]) -> Iterator[TableRow | InvalidRow]:
        number = 0
        with open_parquet(open_file) as file:
            check_column_types(file.schema_arrow, used)
            try:
                for batch in file.iter_batches(BATCH_ROWS, columns=list(used), use_threads=False):
                    for fields in truncate_to_microseconds(batch).to_pylist():
                        number += 1
                        yield TableRow(number, fields)
            except (pyarrow.ArrowException, ValueError) as error:
                yield InvalidRow(number + 1, f"the table cannot be read from here on ({error})")


@contextmanager
def open_parquet(open_file: FileOpener) -> Iterator[Any]:
    with open_file() as file:
        try:
            parquet = pyarrow.parquet.ParquetFile(file)
        except pyarrow.ArrowException as error:
            raise InputError(f"not a Parquet file, or a broken one ({error})") from error
        with parquet:
            yield parquet


def check_column_types(schema: Any, used: Sequence[str]) -> None:
    for name in used:
        if pyarrow.types.is_binary(schema.field(name).type):
            raise InputError(f"its column {name!r} holds {schema.field(name).type}, which no property takes")


def truncate_to_microseconds(batch: Any) -> Any:
    """Convert timestamps to microseconds: Python's datetime has no nanoseconds."""
    schema = batch.schema
    for index, field in enumerate(schema):
        if pyarrow.types.is_timestamp(field.type):
            schema = schema.set(index, field.with_type(pyarrow.timestamp("us", field.type.tz)))
    return batch.cast(schema, safe=False) if schema is not batch.schema else batch
