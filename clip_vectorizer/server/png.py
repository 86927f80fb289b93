"""A PNG file without its texts, for a decoder that refuses long ones."""

from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
UNSEEN = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # nothing that shows; a decoder unpacks them and has limits for them
FRAME = 12  # bytes of a chunk beside its body: length, name, checksum


def without_texts(data: bytes) -> bytes:
    """`data` itself where there is nothing to leave out."""
    if not data.startswith(SIGNATURE) or not any(name in data for name in UNSEEN):
        return data
    return SIGNATURE + b"".join(chunk for chunk in chunks(data) if chunk[4:8] not in UNSEEN)


def chunks(data: bytes) -> Iterator[bytes]:
    """Length, name, body and checksum of each; what is cut off comes as it is."""
    start = len(SIGNATURE)
    while start < len(data):
        end = start + FRAME + int.from_bytes(data[start : start + 4])
        yield data[start:end]
        start = end
