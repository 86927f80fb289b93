"""What a file is, by its first bytes. Imports nothing outside the standard library."""

import re

UNKNOWN = "not an image that can be read"
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")
MINIMAL_BRAND = b"mif3"
# What is no image that a decoder here reads: a pattern of the first bytes, and what to call it.
SIGNATURES: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), name)
    for pattern, name in (
        (rb"\xff\xd8\xff\xf7", "a JPEG-LS file"),
        (rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 file"),
        (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "a JPEG XL file"),
        (rb"II\xbc", "a JPEG XR file"),
        (rb"8BPS", "a Photoshop file"),
        (rb"gimp xcf", "a GIMP file"),
        (rb"\x00\x00[\x01\x02]\x00.{4}", "an icon file"),
        (rb"FORM.{4}ILBM", "an IFF file"),
        (rb"P[1-7][\s]", "a PNM file"),
        (rb"P[Ff]\s", "a PFM file"),
        (rb"#\?(RADIANCE|RGBE)", "a Radiance HDR file"),
        (rb"v/1\x01", "an OpenEXR file"),
        (rb"DDS ", "a DDS texture"),
        (rb"qoif", "a QOI file"),
        (rb"\xd7\xcd\xc6\x9a|\x01\x00\x09\x00", "a WMF drawing"),
        (rb"\x01\x00\x00\x00.{36} EMF", "an EMF drawing"),
        (rb"FUJIFILMCCD-RAW|IIRO|IIRS|\x00MRM", "a raw file of a camera"),
        (rb"%PDF-", "a PDF file"),
        (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript file"),
        (rb"Rar!\x1a\x07", "a RAR archive"),
        (rb"PK\x03\x04|PK\x05\x06", "a zip archive"),
        (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (rb"\x1f\x8b", "a gzip file"),
        (rb"BZh[1-9]", "a bzip2 file"),
        (rb"\xfd7zXZ\x00", "an xz file"),
        (rb"\x28\xb5\x2f\xfd", "a Zstandard file"),
        (rb".{257}ustar", "a tar archive"),
        (rb"version https://git-lfs\.github\.com/spec/", "a Git LFS pointer, not the image itself: run `git lfs pull`"),
        (rb"RIFF.{4}AVI |\x1aE\xdf\xa3|\x00\x00\x01\xba|FLV\x01", "a video"),
        (rb"RIFF.{4}WAVE|ID3|fLaC|OggS", "a sound file"),
        (rb"\x7fELF|MZ", "a program"),
        (rb"SQLite format 3\x00", "an SQLite database"),
        (rb"PAR1", "a Parquet table"),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
        (rb"\x89PNG.{0,8}\Z", "a PNG file cut off in its first bytes"),
    )
)
MARKUP = (
    (re.compile(rb"<svg[\s>]", re.IGNORECASE), "an SVG drawing; render it to PNG"),
    (re.compile(rb"<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]", re.IGNORECASE), "an HTML page, not an image"),
    (re.compile(rb"\A<\?xml"), "an XML file"),
    (re.compile(rb"\A[\[{]\s*[\"\[{\]}]"), "a JSON file"),
)
JPEG_FRAMES = {  # by the marker of the frame: what no decoder of Pillow reads (ITU-T T.81, table B.1)
    0xC3: "lossless JPEG",
    0xC5: "hierarchical JPEG",
    0xC6: "hierarchical JPEG",
    0xC7: "hierarchical lossless JPEG",
    0xCB: "lossless JPEG (arithmetic-coded)",
    0xCD: "hierarchical JPEG",
    0xCE: "hierarchical JPEG",
    0xCF: "hierarchical lossless JPEG",
    0xF7: "JPEG-LS",
}
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def describe_content(data: bytes) -> str:
    """What a file that no decoder reads is called: "a RAR archive", "an HTML page, not an image", ...

    >>> describe_content(b"Rar!\\x1a\\x07\\x01\\x00")
    'a RAR archive'
    >>> describe_content(b"<!DOCTYPE html><html>")
    'an HTML page, not an image'
    """
    if not data:
        return "empty file (0 bytes)"
    if brand := read_brand(data):
        return describe_brand(brand)
    for pattern, name in SIGNATURES:
        if pattern.match(data[:300]):
            return name
    return describe_text(data) or UNKNOWN


def read_brand(data: bytes) -> bytes:
    """The major brand of an ISO media file (HEIC, AVIF, MP4), or b""."""
    return data[8:12] if data[4:8] == b"ftyp" else b""


def is_heif(data: bytes) -> bool:
    """Whether it is a HEIC or HEIF file, whatever its name.

    >>> is_heif(bytes([0, 0, 0, 24]) + b"ftypheic")
    True
    """
    brand = read_brand(data)
    if brand not in HEIF_BRANDS:
        return False
    size = int.from_bytes(data[:4])
    return not any(data[at : at + 4] in AVIF_BRANDS for at in range(16, min(size, 256), 4))


def is_avif(data: bytes) -> bool:
    """Whether it is an AVIF file: by the major brand, or any other of them."""
    names = range(8, min(int.from_bytes(data[:4]), 256), 4)
    return data[4:8] == b"ftyp" and any(data[at : at + 4] in AVIF_BRANDS for at in names)


def describe_brand(brand: bytes) -> str:
    if brand in HEIF_BRANDS:
        return "a HEIC photo"
    if brand in AVIF_BRANDS:
        return "an AVIF file of a kind that cannot be decoded"
    if brand == MINIMAL_BRAND:
        return "an AVIF or HEIC file with a minimal header, which is not read here"
    if brand == b"crx ":
        return "a raw file of a camera"
    return "a video"


def describe_text(data: bytes) -> str:
    """What a text file is called; "" if it is none."""
    start = data[:1024].removeprefix(BYTE_ORDER_MARKS[0]).lstrip()
    for pattern, name in MARKUP:
        if pattern.search(start):
            return name
    with_nul = b"\0" in start and not data.startswith(BYTE_ORDER_MARKS[1:])
    return "" if with_nul or not is_text(start) else "a text file, not an image"


def is_text(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if error.start < len(data) - 4:  # not just a letter cut in two
            return False
        text = data[: error.start].decode()
    return len(text) > 3 and all(letter.isprintable() or letter.isspace() for letter in text)
