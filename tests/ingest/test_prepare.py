import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from ingest.items import Fate, Fingerprint, ImageFile, ImageObject, Outcome
from ingest.prepare import THUMBNAIL_SIDE, prepare
from tests.ingest.fakes import encoded, png, write


def prepared(file: Path, held: Fingerprint | None = None, caption: Path | None = None) -> ImageObject | Outcome:
    return prepare(ImageFile(file, file.name, caption), held, "fake")


def thumbnail_of(data: bytes, tmp_path: Path) -> Image.Image:
    made = prepared(write(tmp_path / "x.png", data))
    assert isinstance(made, ImageObject), made
    thumbnail = Image.open(io.BytesIO(made.thumbnail))
    assert thumbnail.format == "JPEG" and thumbnail.mode == "RGB"
    return thumbnail


def reason_for(data: bytes, tmp_path: Path) -> str:
    made = prepared(write(tmp_path / "x.png", data))
    assert isinstance(made, Outcome) and made.fate is Fate.FAILED, made
    return made.reason


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is that large, with no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def test_the_object_holds_the_file_as_it_is(tmp_path: Path) -> None:
    data = png()
    made = prepared(write(tmp_path / "cats" / "x.png", data), caption=write(tmp_path / "x.txt", "\ufeff  a cat 猫\n"))
    assert isinstance(made, ImageObject)
    assert made.data == data and made.mime == "image/png" and not made.replaces
    assert made.fingerprint == Fingerprint(hashlib.sha256(data).hexdigest(), "cats", "a cat 猫", "fake")


def test_the_type_comes_from_the_bytes_not_from_the_name(tmp_path: Path) -> None:
    made = prepared(write(tmp_path / "x.png", encoded(Image.new("RGB", (4, 4)), "JPEG")))
    assert isinstance(made, ImageObject) and made.mime == "image/jpeg"


def test_an_equal_fingerprint_is_unchanged_and_is_not_decoded(tmp_path: Path) -> None:
    held = Fingerprint(hashlib.sha256(b"no image").hexdigest(), tmp_path.name, "", "fake")
    assert prepared(write(tmp_path / "x.png", b"no image"), held) == Outcome("x.png", Fate.UNCHANGED)


@pytest.mark.parametrize("other", [{"sha256": "0"}, {"label": "dogs"}, {"caption": "x"}, {"model": "other"}])
def test_any_difference_replaces_what_is_held(tmp_path: Path, other: dict[str, str]) -> None:
    same = {"sha256": hashlib.sha256(png()).hexdigest(), "label": tmp_path.name, "caption": "", "model": "fake"}
    made = prepared(write(tmp_path / "x.png", png()), Fingerprint(**same | other))
    assert isinstance(made, ImageObject) and made.replaces


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "CMYK", "I;16", "1"])
def test_every_mode_gets_a_small_rgb_thumbnail(tmp_path: Path, mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    assert thumbnail_of(encoded(Image.new(mode, (600, 300)), kind), tmp_path).size == (THUMBNAIL_SIDE, 128)


def test_a_large_jpeg_gets_a_thumbnail_of_the_same_size(tmp_path: Path) -> None:
    assert thumbnail_of(encoded(Image.new("RGB", (3000, 1500)), "JPEG"), tmp_path).size == (THUMBNAIL_SIDE, 128)


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    thumbnail = thumbnail_of(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG"), tmp_path)
    assert thumbnail.getpixel((4, 4)) == (255, 255, 255)


def test_a_photo_taken_sideways_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn 90 degrees clockwise
    assert thumbnail_of(encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif), tmp_path).size == (20, 40)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello, I am text", "not an image"),
        (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:-200], "truncated"),
        (encoded(Image.effect_noise((64, 64), 50), "PNG")[:-900], "truncated"),
        (png_header(30_000, 30_000), "30000 x 30000 is 900 megapixels"),
    ],
    ids=["0 bytes", "text", "cut JPEG", "cut PNG", "bomb"],
)
def test_a_bad_file_is_told_by_its_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    assert reason in reason_for(data, tmp_path)


def test_a_file_that_is_gone_is_told_by_its_reason(tmp_path: Path) -> None:
    made = prepared(tmp_path / "gone.png")
    assert isinstance(made, Outcome) and made.reason == "cannot be read (No such file or directory)"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    made = [prepared(tmp_path / "pipe"), prepared(write(tmp_path / "x.png", png()), caption=tmp_path / "pipe")]
    reasons = [outcome.reason for outcome in made if isinstance(outcome, Outcome)]
    assert reasons == ["not a regular file", "its caption pipe is not a regular file"]


def test_a_file_too_large_to_send_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    with file.open("wb") as opened:
        opened.truncate(80_000_000)  # sparse
    made = prepared(file)
    assert isinstance(made, Outcome) and "80 MB; Weaviate takes at most 70 MB" in made.reason


@pytest.mark.parametrize(("caption", "reason"), [(b"caf\xe9", "is not UTF-8"), (b"x" * 200_000, "longer than")])
def test_a_caption_that_cannot_be_kept_fails_its_image_by_name(tmp_path: Path, caption: bytes, reason: str) -> None:
    made = prepared(write(tmp_path / "x.png", png()), caption=write(tmp_path / "x.txt", caption))
    assert isinstance(made, Outcome) and made.reason.startswith("its caption x.txt") and reason in made.reason
