"""Boxes of ISO media files, such as AVIF, and the properties of their items: ISO/IEC 14496-12 and 23008-12."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

MAX_BOXES = 1_000
WIDE_PLACES = 1  # flag of an `ipma` box: two bytes a property


class PropertyPlace(NamedTuple):
    """A property of an item."""

    essential: bool  # a reader that does not know it must not show the item
    place: int  # among the stored properties, from 1


Associations = dict[int, list[PropertyPlace]]  # by item


def split_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of each box."""
    start = 0
    for _ in range(MAX_BOXES):
        if start + 8 > len(data):
            return
        size = int.from_bytes(data[start : start + 4])
        if size < 8:
            return
        yield data[start + 4 : start + 8], data[start + 8 : start + size]
        start += size


def build_box(name: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4) + name + body


def read_primary_item(meta: Mapping[bytes, bytes]) -> int:
    body = meta.get(b"pitm", b"")
    return int.from_bytes(body[4 : 6 if body[:1] == b"\0" else 8])


def read_associations(body: bytes) -> Associations:
    """The properties of the items in an `ipma` box: ISO/IEC 23008-12, 9.3. Raises IndexError."""
    if not body:
        return {}
    item_bytes, size = 4 if body[0] > 0 else 2, 1 + (body[3] & WIDE_PLACES)
    essential = 1 << (8 * size - 1)
    items: Associations = {}
    start = 8
    for _ in range(min(int.from_bytes(body[4:8]), MAX_BOXES)):
        end = start + item_bytes
        item, count, start = int.from_bytes(body[start:end]), body[end], end + 1
        codes = [int.from_bytes(body[start + size * k : start + size * (k + 1)]) for k in range(count)]
        items[item] = [PropertyPlace(bool(code & essential), code & (essential - 1)) for code in codes]
        start += size * count
    return items


def build_associations(items: Associations) -> bytes:
    """The body of an `ipma` box, with wide numbers."""
    parts = [bytes((1, 0, 0, WIDE_PLACES)), len(items).to_bytes(4)]
    for item, places in sorted(items.items()):
        codes = [(essential << 15 | place).to_bytes(2) for essential, place in places]
        parts += [item.to_bytes(4), bytes((len(codes),)), *codes]
    return b"".join(parts)


def read_references(body: bytes, name: bytes) -> Iterator[tuple[int, Sequence[int]]]:
    """From and to which items the references of one type in an `iref` box are."""
    size = 4 if body[:1] == b"\1" else 2
    for kind, numbers in split_boxes(body[4:]):
        if kind == name:
            ends = range(size + 2, len(numbers), size)
            yield int.from_bytes(numbers[:size]), [int.from_bytes(numbers[at : at + size]) for at in ends]
