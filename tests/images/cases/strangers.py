"""Files that are no images, or images of a format that is not read: each is called by its name."""

import io
import struct
import zipfile
from collections.abc import Iterator

from tests.images import blobs
from tests.images.case import CorpusCase
from tests.images.pictures import picture

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a1" * 32 + b"\nsize 12345\n"
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>\n'
HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>no such file</body></html>\n"
NOISE = bytes((index * 167 + index // 7 * 31 + 129) % 256 for index in range(999))
PSD = b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 48, 64, 8, 3)


def strangers_cases() -> Iterator[CorpusCase]:
    files = {
        "page.jpg": ("HTML page named .jpg", HTML, "HTML"),
        "page-short.png": ("HTML page without a doctype", b"\n <html>\n<body>gone</body></html>", "HTML"),
        "archive.jpg": ("RAR archive", b"Rar!\x1a\x07\x01\0" + bytes(range(64)), "RAR"),
        "archive4.jpg": ("RAR archive, version 4", b"Rar!\x1a\x07\0" + bytes(range(64)), "RAR"),
        "archive.png": ("zip archive", zip_file(), "zip"),
        "packed.jpg": ("gzip file", b"\x1f\x8b\x08\0" + bytes(40), "gzip"),
        "seven.jpg": ("7-Zip archive", b"7z\xbc\xaf\x27\x1c\0\x04" + bytes(40), "7-Zip"),
        "pointer.jpg": ("Git LFS pointer", LFS_POINTER, "git lfs pull"),
        "document.jpg": ("PDF document", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n", "PDF"),
        "drawing.png": ("SVG drawing", SVG, "SVG"),
        "drawing-bare.svg": ("SVG without an XML head", SVG.partition(b"\n")[2], "SVG"),
        "words.jpg": ("text", b"a cat on a mat\nand a dog\n", "text"),
        "words.png": ("JSON", b'{"error": "not found"}', "JSON"),
        "empty.jpg": ("empty file", b"", "empty"),
        "zeros.jpg": ("zero bytes alone", bytes(3000), "not an image"),
        "noise.jpg": ("noise", NOISE, "not an image"),
        "phone.jpg": ("HEIC named .jpg", brand_file(b"heic"), "HEIC"),
        "phone.heic": ("HEIC", brand_file(b"heic"), "HEIC"),
        "phone-mif1.heic": ("HEIC, brand mif1", brand_file(b"mif1", b"heic"), "HEIC"),
        "picture-box.jxl": ("JPEG XL in boxes", JXL_BOX, "JPEG XL"),
        "layers.psd": ("Photoshop document", PSD, "Photoshop"),
        "film.mp4": ("MP4 film", brand_file(b"isom", b"mp42"), "video"),
        "film-named.jpg": ("MP4 film named .jpg", brand_file(b"mp42"), "video"),
        "film.mov": ("QuickTime film", brand_file(b"qt  "), "video"),
        "film.webm": ("Matroska or WebM film", b"\x1a\x45\xdf\xa3" + bytes(40), "video"),
        "script.eps": ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "PostScript"),
        "sound.wav": ("WAV sound", b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(32), "sound"),
        "program.png": ("ELF program", b"\x7fELF\x02\x01\x01" + bytes(60), "program"),
    }  # fmt: skip
    picture_of_blobs = picture(*blobs.SIZE)
    yield CorpusCase("picture.jxl", "JPEG XL", blobs.JPEG_XL, "either", picture_of_blobs, "JPEG XL")
    for name, (what, data, says) in files.items():
        yield CorpusCase(name, what, data, "refused", says=says, browser="nothing")


JXL_BOX = b"\0\0\0\x0cJXL \r\n\x87\n" + struct.pack(">I4s", 20, b"ftyp") + b"jxl \0\0\0\0jxl "


def brand_file(*brands: bytes) -> bytes:
    """The first box of an ISO base media file, and the head of the next."""
    names = brands[0] + bytes(4) + b"".join(brands)
    return struct.pack(">I4s", 8 + len(names), b"ftyp") + names + struct.pack(">I4s", 60, b"meta") + bytes(52)


def zip_file() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a cat")
    return file.getvalue()
