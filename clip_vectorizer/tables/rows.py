"""What a reader of tables returns, whatever the format: the columns, and a row at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class ImageContent(Enum):
    """What the type of a column implies: image files in the cells."""

    BYTES = auto()  # bytes, of images or of anything else
    DECLARED = auto()  # images: `datasets` of Hugging Face stores a struct with the fields bytes and path


@dataclass(frozen=True, slots=True)
class TableColumn:
    name: str
    images: ImageContent | None = None
    unusable: str = ""  # the type, if it is neither text nor a number, boolean or date
    labels: tuple[str, ...] = ()  # names of the values 0, 1, ...


@dataclass(frozen=True, slots=True)
class TableRow:
    number: int  # its first line in the file, or its place in a Parquet file, from 1
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class InvalidRow:
    number: int
    reason: str
