"""Preparing one item: the result for each stored state, and its picture. Whole runs: test_pipeline.py."""

import hashlib
import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from clip_vectorizer.errors import InputError
from ingest.choices import Fit, Keep
from ingest.items import (
    Amendment,
    Facts,
    ImageObject,
    ItemOutcome,
    SourceItem,
    Status,
    StoredState,
    UnusableFile,
    digest_facts,
)
from ingest.prepare import PreparedItem, PrepareSettings, is_unchanged, prepare
from ingest.preview import PADDED_SIDE, THUMBNAIL_SIDE, ImagePreview, difference_hash, preview_image
from tests.ingest.fakes import BLUE, BROKEN, GREEN, RED, File, ListSource, encoded, png

YELLOW, WHITE = (255, 255, 0), (255, 255, 255)
PNG = png()
HELD = StoredState(hashlib.sha256(PNG).hexdigest(), "crop", "s", digest_facts(Facts()), "/photos", "")


def item(data: bytes | Exception = PNG, facts: Facts | None = None, stamp: str = "s") -> SourceItem:
    [found] = ListSource({"x.png": File(data, facts or Facts(), stamp)})
    assert isinstance(found, SourceItem)
    return found


def prepared(found: SourceItem, held: StoredState | None = HELD, **settings: bool) -> PreparedItem:
    return prepare(found, held, PrepareSettings(keep=Keep.HASH, **settings))


def test_a_new_image_is_made_with_the_hash_of_its_bytes() -> None:
    made = prepared(item(facts=Facts("cats")), None)
    assert isinstance(made, ImageObject) and not made.replaces
    assert (made.sha256, made.size, made.image, made.facts) == (HELD.sha256, len(PNG), PNG, Facts("cats"))


@pytest.mark.parametrize("held", [replace(HELD, sha256="0"), replace(HELD, fit="pad")])
def test_other_bytes_or_another_fit_replace_the_stored_object(held: StoredState) -> None:
    made = prepared(item(), held)
    assert isinstance(made, ImageObject) and made.replaces


def test_an_equal_item_is_unchanged_and_not_decoded() -> None:
    held = replace(HELD, sha256=hashlib.sha256(BROKEN).hexdigest())
    assert prepared(item(BROKEN), held) == ItemOutcome("x.png", Status.UNCHANGED, source="/photos")


@pytest.mark.parametrize("held", [replace(HELD, stamp="old"), replace(HELD, source="/other")])
def test_another_stamp_or_source_is_amended_alone(held: StoredState) -> None:
    assert prepared(item(), held) == Amendment("x.png", "/photos", "s", None)


def test_other_facts_are_amended() -> None:
    assert prepared(item(facts=Facts("dogs"))) == Amendment("x.png", "/photos", "s", Facts("dogs"))


def test_a_missing_perceptual_hash_is_added_if_it_is_needed() -> None:
    made = prepared(item(), near_duplicates=True)
    assert isinstance(made, Amendment) and made.facts is None and len(made.phash) == 16
    assert isinstance(prepared(item(), replace(HELD, phash="0" * 16), near_duplicates=True), ItemOutcome)


def test_an_image_of_another_source_is_replaced_only_with_take_over() -> None:
    held = replace(HELD, sha256="0", source="/other")
    refused = prepared(item(), held)
    assert isinstance(refused, ItemOutcome) and refused.status is Status.FAILED and "--take-over" in refused.reason
    assert isinstance(prepared(item(), held, take_over=True), ImageObject)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnusableFile("cannot be read (gone)"), "cannot be read (gone)"),
        (InputError("x.png: cannot be reached"), "cannot be reached"),
        (MemoryError("too large"), "MemoryError: too large"),
        (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
    ],
)
def test_any_read_error_is_the_reason_of_a_failure(error: Exception, reason: str) -> None:
    assert prepared(item(error)) == ItemOutcome("x.png", Status.FAILED, reason, "/photos")


def test_unreadable_facts_fail_their_image() -> None:
    def no_facts(_: bytes) -> Facts:
        raise UnusableFile("its caption x.txt is not UTF-8")

    made = prepared(replace(item(), facts=no_facts))
    assert isinstance(made, ItemOutcome) and made.reason == "its caption x.txt is not UTF-8"


@pytest.mark.parametrize(
    ("found", "held", "expected"),
    [
        (item(), HELD, True),
        (item(), None, False),
        (item(stamp="new"), HELD, False),
        (item(stamp=""), replace(HELD, stamp=""), False),
        (item(), replace(HELD, source="/other"), False),
        (replace(item(), fit=Fit.PAD), HELD, False),
    ],
)
def test_an_unread_item_is_unchanged_by_its_stamp_its_source_and_its_fit(
    found: SourceItem, held: StoredState | None, expected: bool
) -> None:
    assert is_unchanged(found, held, PrepareSettings()) is expected


def test_an_unread_item_without_its_perceptual_hash_counts_as_changed() -> None:
    assert not is_unchanged(item(), HELD, PrepareSettings(near_duplicates=True))
    assert is_unchanged(item(), replace(HELD, phash="0" * 16), PrepareSettings(near_duplicates=True))


# --- one picture


def look(data: bytes, fit: Fit = Fit.CROP, keep: Keep = Keep.THUMBNAIL, with_phash: bool = False) -> ImagePreview:
    return preview_image(data, fit, keep, with_phash)


def picture_of(data: bytes | None) -> Image.Image:
    assert data
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "JPEG" and picture.mode == "RGB"
    return picture


def thumbnail(data: bytes) -> Image.Image:
    return picture_of(look(data).thumbnail)


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header has this size, without pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def drawing(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """Large shapes, as in photographs."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (width, height), tuple(random.integers(0, 255, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        (x, y), side = random.uniform(0, [width, height]), random.uniform(0.1, 0.4) * width
        draw.ellipse((x - side / 2, y - side / 2, x + side, y + side), fill=tuple(random.integers(0, 255, 3).tolist()))
    return picture


def bits_apart(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_the_type_comes_from_the_bytes() -> None:
    assert [look(encoded(Image.new("RGB", (4, 4)), kind)).mime for kind in ("JPEG", "PNG", "WEBP")] == [
        "image/jpeg",
        "image/png",
        "image/webp",
    ]


@pytest.mark.parametrize(
    ("keep", "with_phash", "decoded"),
    [
        (Keep.FULL, False, True),
        (Keep.THUMBNAIL, False, True),
        (Keep.HASH, False, False),
        (Keep.NONE, False, False),
        (Keep.NONE, True, True),
    ],
)
def test_a_file_is_decoded_only_if_the_result_is_needed(keep: Keep, with_phash: bool, decoded: bool) -> None:
    seen = look(png(), keep=keep, with_phash=with_phash)
    assert seen.image == png() and bool(seen.phash) == decoded
    assert bool(seen.thumbnail) == (keep in (Keep.FULL, Keep.THUMBNAIL))


# --- thumbnails


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "CMYK", "I;16", "1"])
def test_every_mode_gets_a_small_rgb_thumbnail(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    assert thumbnail(encoded(Image.new(mode, (600, 300)), kind)).size == (THUMBNAIL_SIDE, 128)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_large_jpeg_gets_a_thumbnail_of_the_same_size(mode: str) -> None:
    assert thumbnail(encoded(Image.new(mode, (3000, 1500)), "JPEG")).size == (THUMBNAIL_SIDE, 128)


def test_a_small_picture_is_not_blown_up() -> None:
    assert thumbnail(png(side=8)).size == (8, 8)


def test_transparent_pixels_become_white() -> None:
    assert thumbnail(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")).getpixel((4, 4)) == WHITE


def test_a_rotated_photo_becomes_upright_and_its_thumbnail_has_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn 90 degrees clockwise
    exif[0x010F] = "a camera"
    small = thumbnail(encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif))
    assert small.size == (20, 40) and not small.getexif()


def test_the_first_frame_of_an_animation_is_used() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert near(thumbnail(animation).getpixel((4, 4)), RED)


# --- padding


CORNERS = [(0, 0), (1, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (200, 200), (5000, 400), (64, 16)])
def test_a_padded_picture_keeps_all_corners_on_a_white_square(size: tuple[int, int]) -> None:
    page = Image.new("RGB", size, WHITE)
    half = size[0] // 2, size[1] // 2
    for (x, y), colour in zip(CORNERS, [RED, GREEN, BLUE, YELLOW], strict=True):
        page.paste(colour, (x * half[0], y * half[1], (x + 1) * half[0], (y + 1) * half[1]))
    square = picture_of(look(encoded(page, "PNG"), Fit.PAD).image)
    side = max(square.size)
    assert square.size == (side, side) and side == min(max(size), PADDED_SIDE)
    wide, high = (max(1, round(length * side / max(size))) for length in size)
    left, top = (side - wide) // 2, (side - high) // 2
    for (x, y), colour in zip(CORNERS, [RED, GREEN, BLUE, YELLOW], strict=True):
        assert near(
            square.getpixel((left + round((0.1 + 0.8 * x) * (wide - 1)), top + round((0.1 + 0.8 * y) * (high - 1)))),
            colour,
        )
    if wide < side - 16 or high < side - 16:
        assert near(square.getpixel((1, 1)), WHITE)


def near(seen: object, wanted: tuple[int, int, int]) -> bool:
    assert isinstance(seen, tuple)
    return all(abs(one - other) < 60 for one, other in zip(seen, wanted, strict=True))


def test_the_thumbnail_of_a_padded_picture_is_the_picture_without_its_margins() -> None:
    seen = look(encoded(Image.new("RGB", (300, 100)), "PNG"), Fit.PAD)
    assert picture_of(seen.thumbnail).size == (256, 85) and picture_of(seen.image).size == (300, 300)


def test_a_picture_is_padded_also_if_none_of_it_is_kept() -> None:
    seen = look(encoded(Image.new("RGB", (30, 10)), "PNG"), Fit.PAD, Keep.NONE)
    assert picture_of(seen.image).size == (30, 30) and seen.thumbnail is None


# --- perceptual hashes


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.75, 2.0, 3.1]), st.sampled_from([40, 70, 95]))
def test_a_perceptual_hash_survives_scaling_and_jpeg(seed: int, scale: float, quality: int) -> None:
    picture = drawing(seed)
    other = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    original = look(encoded(picture, "PNG")).phash
    assert len(original) == 16
    assert bits_apart(original, look(encoded(other, "JPEG", quality=quality)).phash) <= 6


def test_other_pictures_have_other_perceptual_hashes() -> None:
    hashes = [difference_hash(drawing(seed)) for seed in range(40)]
    apart = [bits_apart(one, other) for one in hashes for other in hashes if one is not other]
    assert min(apart) > 6


def test_the_perceptual_hash_of_a_gradient() -> None:
    falling = Image.linear_gradient("L").rotate(90)  # brighter on the left, or on the right
    assert {difference_hash(falling), difference_hash(falling.rotate(180))} == {"0" * 16, "f" * 16}
    assert difference_hash(Image.new("RGB", (50, 50), GREEN)) == "0" * 16


# --- unreadable files


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello, I am text", "a text file, not an image"),
        (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:-900], "truncated"),
        (encoded(Image.effect_noise((64, 64), 50), "PNG")[:-900], "truncated"),
        (png_header(30_000, 30_000), "30000 x 30000 is 900 megapixels"),
    ],
    ids=["0 bytes", "text", "cut JPEG", "cut PNG", "bomb"],
)
@pytest.mark.parametrize("fit", list(Fit))
def test_a_bad_file_is_reported_with_its_reason(data: bytes, reason: str, fit: Fit) -> None:
    with pytest.raises(UnusableFile, match=reason):
        look(data, fit)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
def test_a_damaged_file_is_decoded_or_raises_unusable_file(kind: str, data: st.DataObject) -> None:
    whole = bytearray(encoded(drawing(1, 32, 24), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert look(bytes(whole[: data.draw(st.integers(0, len(whole)))])).mime
    except UnusableFile as problem:
        assert str(problem)
