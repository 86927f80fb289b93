"""Every way to store a picture gives the picture a person sees."""

import json
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.opener import decode_image, read_size
from clip_vectorizer.images.pillow import lift_pillow_limit
from clip_vectorizer.images.settings import DecodeSettings
from tests.images.corpus import all_cases
from tests.server.clients import file_of

LIMIT = DecodeSettings(max_pixels=10_000)
CORNERS = np.zeros((8, 12, 3), np.uint8)
CORNERS[:4, :6], CORNERS[:4, 6:], CORNERS[4:, :6], CORNERS[4:, 6:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), 255
PICTURE = Image.fromarray(CORNERS)
TURNED = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}

FINEST = {
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 100, "subsampling": 0},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
}


def seen(data: bytes) -> np.ndarray:
    image = decode_image(data, LIMIT, max(CORNERS.shape))
    assert image.pixels.mode == "RGB" and image.box == (0, 0, *image.pixels.size)
    assert image.size == image.pixels.size and not image.damage
    return np.asarray(image.pixels)


def refusal_of(data: bytes) -> ImageRefused:
    with pytest.raises(ImageRefused) as refused:
        decode_image(data, LIMIT, 8)
    return refused.value


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG"])
def test_every_format_shows_the_same_picture(kind: str) -> None:
    difference = np.abs(seen(file_of(PICTURE, kind, **FINEST.get(kind, {}))).astype(int) - CORNERS)
    assert difference.mean() < 3


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_picture_that_was_stored_turned_is_turned_back(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = PICTURE.transpose(TURNED[orientation])
    lossless = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(seen(file_of(stored, kind, exif=exif, **lossless)), CORNERS)


def test_a_broken_exif_block_does_not_lose_the_picture() -> None:
    np.testing.assert_array_equal(seen(file_of(PICTURE, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")), CORNERS)


def with_transparent_corner(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.paste((9, 9, 9, 0), (0, 0, 6, 4))
    return image


@pytest.mark.parametrize(
    "store",
    [
        lambda image: file_of(image),
        lambda image: file_of(image, "WEBP", lossless=True, exact=True),
        lambda image: file_of(image.quantize(8)),
        lambda image: file_of(image, "GIF"),
    ],
    ids=["RGBA", "WebP", "palette with alpha", "GIF"],
)
def test_what_is_transparent_is_white(store: Callable[[Image.Image], bytes]) -> None:
    pixels = seen(store(with_transparent_corner(PICTURE)))
    assert (pixels[:4, :6] == 255).all()
    assert np.abs(pixels[:4, 6:].astype(int) - CORNERS[:4, 6:]).max() <= 2


def test_half_transparent_grey_is_half_way_to_white() -> None:
    pixels = seen(file_of(Image.new("LA", (4, 4), (0, 128))))
    assert (pixels == 127).all()


def test_a_transparent_entry_of_a_palette_or_a_grey_level_is_white() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert (seen(file_of(palette, transparency=1)) == 255).all()
    assert (seen(file_of(palette))[0, 0] == (10, 20, 30)).all()
    assert (seen(file_of(Image.new("L", (4, 4), 7), transparency=7)) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(kind: str) -> None:
    levels = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    pixels = seen(file_of(Image.fromarray(levels), kind))
    np.testing.assert_array_equal(pixels[0, :, 0], [0, 1, 128, 255])


def test_one_bit_and_grey_pictures_become_rgb() -> None:
    assert (seen(file_of(Image.new("1", (4, 4), 1))) == 255).all()
    assert (seen(file_of(Image.new("L", (4, 4), 77))) == 77).all()


def test_floats_between_0_and_1_are_scaled() -> None:
    levels = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    np.testing.assert_array_equal(seen(file_of(Image.fromarray(levels), "TIFF"))[0, :, 0], [0, 128, 255])


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_the_rgb_it_prints(kind: str) -> None:
    pixels = seen(file_of(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), kind))
    assert np.abs(pixels.astype(int) - (255, 0, 0)).max() <= 8


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = file_of(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    assert (seen(data) == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
@pytest.mark.parametrize("least_side", [8, 90])
def test_a_truncated_file_is_refused_at_any_scale(kind: str, least_side: int) -> None:
    whole = file_of(Image.effect_noise((90, 90), 80).convert("RGB"), kind)
    with pytest.raises(ImageRefused, match="truncated") as refused:
        decode_image(whole[: len(whole) // 2], LIMIT, least_side)
    assert refused.value.status == 422


@pytest.mark.parametrize("data", [b"", b"x", b"<svg xmlns='http://www.w3.org/2000/svg'/>", json.dumps({}).encode()])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert read_size(data, LIMIT) == (0, 0)
    assert refusal_of(data).status == 422


def test_a_picture_over_the_limit_is_refused_from_its_header_with_both_numbers() -> None:
    data = file_of(Image.new("1", (101, 100)))
    for refused in (refusal_of(data), refusal_of(data[:60])):
        assert refused.status == 413
        assert "101 x 100" in refused.reason and "0 megapixels" in refused.reason
    assert read_size(file_of(Image.new("1", (100, 100))), LIMIT) == (100, 100)


def test_nothing_outside_the_listed_formats_is_opened() -> None:
    assert refusal_of(file_of(Image.new("RGB", (4, 4)), "PPM")).reason == "a PNM file"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


LONG = zlib.compress(b"x" * 3_000_000)  # a decoder's limit is 1 MB


@pytest.mark.parametrize("text", [chunk(b"zTXt", b"Comment\0\0" + LONG), chunk(b"iCCP", b"profile\0\0" + LONG)])
@pytest.mark.parametrize("place", [33, -12], ids=["before the pixels", "after them"])
def test_a_long_text_in_a_png_does_not_lose_the_picture(text: bytes, place: int) -> None:
    png = file_of(PICTURE)
    data = png[:place] + text + png[place:]
    assert read_size(data, LIMIT) == PICTURE.size
    np.testing.assert_array_equal(seen(data), CORNERS)


def test_a_broken_png_with_a_long_text_is_still_refused() -> None:
    png = file_of(Image.effect_noise((90, 90), 80))
    assert "truncated" in refusal_of((png[:33] + chunk(b"zTXt", b"Comment\0\0" + LONG) + png[33:])[:-900]).reason


def test_a_progressive_jpeg_of_very_many_scans_is_refused() -> None:
    jpeg = file_of(Image.effect_noise((64, 64), 50), "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    assert "scans" in refusal_of(jpeg[:-2] + 600 * last + jpeg[-2:]).reason
    assert decode_image(jpeg, LIMIT, 64).pixels.size == (64, 64)


def gif_with_a_huge_frame() -> bytes:
    gif = bytearray(file_of(Image.new("P", (8, 8), 1), "GIF"))
    frame = gif.index(b",\0\0\0\0")
    gif[frame + 5 : frame + 9] = struct.pack("<HH", 60_000, 60_000)
    return bytes(gif)


def test_a_gif_frame_beyond_its_screen_counts_with_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # restored afterwards
    lift_pillow_limit()  # as a sidecar does
    assert "60000 x 60000" in refusal_of(gif_with_a_huge_frame()).reason


def test_where_pillow_has_its_limit_a_decoder_that_checks_it_is_a_413(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_478_485)  # a sidecar in the same process has lifted it
    refusal = refusal_of(gif_with_a_huge_frame())
    assert refusal.status == 413
    assert "3600000000 pixels" in refusal.reason


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_decoded_smaller_is_the_same_picture(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((67, 99, 3), np.uint8)  # no multiple of any scale: the last row and column are filled in part
    pixels[:30, :40], pixels[30:, 40:] = (255, 0, 0), (0, 0, 255)
    data = file_of(Image.fromarray(pixels), "JPEG", exif=exif, quality=95, subsampling=0)
    small, whole = decode_image(data, LIMIT, 16), decode_image(data, LIMIT, 1000)
    assert small.pixels.size == ((25, 17) if orientation < 5 else (17, 25))
    assert small.size == whole.size == whole.pixels.size
    ours, theirs = (
        np.asarray(image.resize((12, 12), 3, at)).astype(int)
        for image, at in ((small.pixels, small.box), (whole.pixels, None))
    )
    assert np.abs(ours - theirs).mean() < 3


def test_grey_and_cmyk_jpegs_are_decoded_smaller_too() -> None:
    for mode, colour, expected in (("L", 77, (77, 77, 77)), ("CMYK", (0, 255, 255, 0), (255, 0, 0))):
        small = decode_image(file_of(Image.new(mode, (80, 80), colour), "JPEG"), LIMIT, 10).pixels
        assert small.size == (10, 10)
        assert np.abs(np.asarray(small).astype(int) - expected).max() <= 8


def test_a_corrupt_exif_block_is_no_news_on_stderr() -> None:
    data = file_of(PICTURE, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01")
    script = "import sys; from clip_vectorizer.images.opener import decode_image; decode_image(sys.stdin.buffer.read())"
    done = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, check=True)
    assert done.stderr == b""


@pytest.mark.parametrize("text", [chunk(b"zTXt", b"Comment\0\0" + LONG), b"\0\0\0\0zTXt"], ids=["long", "cut"])
def test_the_size_of_a_png_that_stays_broken_is_unknown(text: bytes) -> None:
    """Without its texts it still cannot be opened."""
    png = file_of(PICTURE)
    data = png[:8] + chunk(b"IHDR", b"broken") + text * 3
    assert read_size(data, LIMIT) == (0, 0)
    assert read_size(png[:20] + text + png[20:], LIMIT) == (0, 0)


@pytest.mark.parametrize("name", ["progressive-cut-20.jpg", "cut-20-bytes.jpg", "adler.png"])
def test_with_a_least_share_of_1_every_damage_is_a_refusal(name: str) -> None:
    [case] = [case for case in all_cases() if case.name == name]
    assert decode_image(case.data).damage
    with pytest.raises(ImageRefused, match="broken or truncated"):
        decode_image(case.data, DecodeSettings(least_decoded=1))


@pytest.mark.parametrize("claimed", [268_000_000, 0xFFFFFFF0])
def test_a_webp_that_claims_to_be_huge_is_refused_without_the_memory_for_it(claimed: int) -> None:
    data = bytearray(file_of(PICTURE, "WEBP"))
    data[4:8] = claimed.to_bytes(4, "little")
    tracemalloc.start()
    try:
        with pytest.raises(ImageRefused, match="broken or truncated"):
            decode_image(bytes(data[:-3]), LIMIT, 64)
        assert tracemalloc.get_traced_memory()[1] < 16_000_000  # bytes
    finally:
        tracemalloc.stop()
