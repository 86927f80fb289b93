"""AVIF files that break rules of the format, made from those that Pillow writes."""

import struct
from collections.abc import Callable

from clip_vectorizer.images.iso_boxes import build_box, split_boxes

Boxes = list[tuple[bytes, bytes]]
PROPERTIES = b"iprp"


def edit_description(data: bytes, edit: Callable[[Boxes], Boxes]) -> bytes:
    """The file with other boxes in its `meta` box, which moves to the end; the old one becomes `free`."""
    start = data.index(b"meta")
    body = data[start + 4 : start - 4 + int.from_bytes(data[start - 4 : start])]
    meta = body[:4] + join_boxes(edit(list(split_boxes(body[4:]))))
    return data[:start] + b"free" + data[start + 4 :] + build_box(b"meta", meta)


def join_boxes(boxes: Boxes) -> bytes:
    return b"".join(build_box(name, body) for name, body in boxes)


def edit_properties(data: bytes, edit: Callable[[bytes, bytes], Boxes]) -> bytes:
    """The file with other properties: `edit` gets the stored ones and the body of `ipma`."""

    def replace(boxes: Boxes) -> Boxes:
        held = dict(split_boxes(dict(boxes)[PROPERTIES]))
        new = join_boxes(edit(held[b"ipco"], held[b"ipma"]))
        return [(name, new if name == PROPERTIES else body) for name, body in boxes]

    return edit_description(data, replace)


def list_entries(ipma: bytes) -> list[tuple[int, bytes]]:
    """Item and codes, a byte each, of the narrow associations that Pillow's encoder writes."""
    assert ipma[:4] == bytes(4)
    entries, start = [], 8
    for _ in range(int.from_bytes(ipma[4:8])):
        end = start + 3 + ipma[start + 2]
        entries.append((int.from_bytes(ipma[start : start + 2]), ipma[start + 3 : end]))
        start = end
    return entries


def associations(*entries: tuple[int, bytes]) -> tuple[bytes, bytes]:
    """An `ipma` box."""
    body = [item.to_bytes(2) + bytes((len(codes),)) + codes for item, codes in entries]
    return b"ipma", bytes(4) + len(entries).to_bytes(4) + b"".join(body)


def with_two_lists(data: bytes) -> bytes:
    """The properties of each item in an `ipma` box of its own."""
    return edit_properties(data, lambda ipco, ipma: [(b"ipco", ipco), *map(associations, list_entries(ipma))])


def without_alpha_size(data: bytes) -> bytes:
    """The alpha plane, item 2, has no `ispe`."""

    def drop(ipco: bytes, ipma: bytes) -> Boxes:
        names = [name for name, _ in split_boxes(ipco)]
        size = names.index(b"ispe") + 1
        entries = [(item, codes if item == 1 else bytes(c for c in codes if c & 0x7F != size)) for item, codes in
                   list_entries(ipma)]  # fmt: skip
        return [(b"ipco", ipco), associations(*entries)]

    return edit_properties(data, drop)


def with_same_group(data: bytes) -> bytes:
    """A group, a pyramid of one level, with the number of the picture."""
    group = build_box(b"pymd", struct.pack(">5I", 0, 1, 1, 1, 0))
    return edit_description(data, lambda boxes: [*boxes, (b"grpl", group)])


def with_light_level(data: bytes, brightest: int) -> bytes:
    """A `clli` property of the picture, item 1: its brightest pixel in cd/m2."""

    def add(ipco: bytes, ipma: bytes) -> Boxes:
        place = len(list(split_boxes(ipco))) + 1
        entries = [(item, codes + bytes((place,)) if item == 1 else codes) for item, codes in list_entries(ipma)]
        light = build_box(b"clli", struct.pack(">HH", brightest, brightest // 2))
        return [(b"ipco", ipco + light), associations(*entries)]

    return edit_properties(data, add)


def with_codes(data: bytes, primaries: int, transfer: int, matrix: int) -> bytes:
    """Other numbers of ITU-T H.273 in its `nclx`; the pixels stay as they are."""
    start = data.index(b"nclx") + 4
    return data[:start] + struct.pack(">3H", primaries, transfer, matrix) + data[start + 6 :]
