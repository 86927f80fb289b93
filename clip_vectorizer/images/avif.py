"""AVIF files that break a rule of the format and that browsers show all the same, mended for libavif.

Its strict checks are always on in Pillow. What is mended: several `ipma` boxes of one kind, an alpha plane without its
size, transformations that are not marked as essential, groups of alternatives that it does not take, and BT.2020 with
constant luminance.
"""

from collections.abc import Sequence

from clip_vectorizer.images.iso_boxes import (
    Associations,
    PropertyPlace,
    build_associations,
    build_box,
    read_associations,
    read_primary_item,
    read_references,
    split_boxes,
)

ESSENTIAL = (b"clap", b"irot", b"imir", b"lsel", b"a1op", b"av1C")
GROUPS, TONE_MAP, PLAIN_ITEM, PLAIN_BRAND = b"grpl", b"tmap", b"skip", b"mif1"
BT2020_CONSTANT, BT2020 = b"\0\x0a", b"\0\x09"  # matrix coefficients of ITU-T H.273
Boxes = Sequence[tuple[bytes, bytes]]


def mend_avif(data: bytes) -> bytes:
    """The file with another description at its end. The old one stays as `free`, so that all offsets hold.

    Raises ValueError for a file without a description, or with a broken one.
    """
    start = 0
    for name, body in split_boxes(data):
        if name == b"meta":
            meta = build_box(b"meta", body[:4] + mend_meta(list(split_boxes(body[4:]))))
            before = data[:start].replace(TONE_MAP, PLAIN_BRAND)
            return before + data[start : start + 4] + b"free" + data[start + 8 :] + meta
        start += 8 + len(body)
    raise ValueError("no meta box")


def mend_meta(boxes: Boxes) -> bytes:
    """The content of the `meta` box. Raises ValueError."""
    meta = dict(boxes)
    mended = {
        b"iprp": mend_properties(meta),
        b"iinf": meta.get(b"iinf", b"").replace(TONE_MAP, PLAIN_ITEM),
    }
    return b"".join(build_box(name, mended.get(name, body)) for name, body in boxes if name != GROUPS)


def mend_properties(meta: dict[bytes, bytes]) -> bytes:
    """The content of the `iprp` box. Raises ValueError."""
    boxes = list(split_boxes(meta.get(b"iprp", b"")))
    stored = [mend_property(name, body) for name, body in split_boxes(dict(boxes).get(b"ipco", b""))]
    items: Associations = {}
    try:
        for body in (body for name, body in boxes if name == b"ipma"):
            items = read_associations(body) | items
    except IndexError as error:
        raise ValueError("a broken ipma box") from error
    names = [name for name, _ in stored]
    add_sizes(items, names, meta)
    for item, places in items.items():
        items[item] = [mark_essential(place, names) for place in places]
    properties = b"".join(build_box(name, body) for name, body in stored)
    return build_box(b"ipco", properties) + build_box(b"ipma", build_associations(items))


def mend_property(name: bytes, body: bytes) -> tuple[bytes, bytes]:
    """libavif cannot convert BT.2020 with constant luminance; Chromium shows it as without."""
    if name == b"colr" and body[:4] == b"nclx" and body[8:10] == BT2020_CONSTANT:
        return name, body[:8] + BT2020 + body[10:]
    return name, body


def add_sizes(items: Associations, names: Sequence[bytes], meta: dict[bytes, bytes]) -> None:
    """An alpha plane without a size of its own gets that of its picture."""
    sizes = {place for place, name in enumerate(names, 1) if name == b"ispe"}
    size = next((place for place in items.get(read_primary_item(meta), []) if place.place in sizes), None)
    for item, _ in read_references(meta.get(b"iref", b""), b"auxl"):
        if size and sizes.isdisjoint(place.place for place in items.get(item, [])):
            items.setdefault(item, []).insert(0, size)


def mark_essential(place: PropertyPlace, names: Sequence[bytes]) -> PropertyPlace:
    known = 0 < place.place <= len(names)
    return PropertyPlace(place.essential or (known and names[place.place - 1] in ESSENTIAL), place.place)
