"""The chunks of a PNG file, without decoding. What a decoder refuses although the pixels are fine is removed."""

import zlib
from collections.abc import Iterator, Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHUNK_OVERHEAD = 12  # bytes of a chunk besides its body: length, name, checksum
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")  # invisible; a decoder unpacks them and has limits for them
ANIMATION_CHUNKS = (b"acTL", b"fcTL", b"fdAT")  # without them the file is its still picture
# All that changes the pixels of the still picture, besides the profile.
BARE_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"tRNS")
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"eXIf")


def split_chunks(data: bytes) -> Iterator[bytes]:
    """Length, name, body and checksum of each chunk; the last one may be incomplete."""
    start = len(SIGNATURE)
    while start < len(data):
        end = start + CHUNK_OVERHEAD + int.from_bytes(data[start : start + 4])
        yield data[start:end]
        start = end


def build_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk with its right checksum.

    >>> build_chunk(b"IEND", b"").hex()
    '0000000049454e44ae426082'
    """
    return len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)


def strip_texts(data: bytes) -> bytes:
    """The file without texts and animation; `data` itself if it has none."""
    return strip_chunks(data, (*TEXT_CHUNKS, *ANIMATION_CHUNKS))


def strip_profile(data: bytes) -> bytes:
    """The file without its colour profile; `data` itself if it has none."""
    return strip_chunks(data, (b"iCCP",))


def strip_chunks(data: bytes, names: tuple[bytes, ...]) -> bytes:
    if not data.startswith(SIGNATURE) or not any(name in data for name in names):
        return data
    return SIGNATURE + b"".join(chunk for chunk in split_chunks(data) if chunk[4:8] not in names)


def mend_checksums(data: bytes, names: Sequence[bytes] = PIXEL_CHUNKS) -> bytes:
    """The file with the right checksum on each chunk of these names, and without any other.

    A profile stays where its checksum is right. A chunk that the end of the file cuts off keeps what there is of it.
    """
    chunks = [(chunk[4:8], chunk) for chunk in split_chunks(data)]
    kept = [
        build_chunk(name, cut_body(chunk))
        for name, chunk in chunks
        if name in names or (name == b"iCCP" and has_right_checksum(chunk))
    ]
    return SIGNATURE + b"".join((*kept, build_chunk(b"IEND", b"")))


def cut_body(chunk: bytes) -> bytes:
    return chunk[8 : 8 + int.from_bytes(chunk[:4])]


def has_right_checksum(chunk: bytes) -> bool:
    """Whether the chunk is whole and its checksum is right."""
    return chunk == build_chunk(chunk[4:8], cut_body(chunk))
