"""Colours become sRGB by what the file says of them; the right levels are computed here, without a library."""

import io
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from clip_vectorizer.images.colour import ColourFinding, FindingCache, find_colour
from clip_vectorizer.images.opener import decode_image
from tests.images import png_writer as png
from tests.images import profiles as icc
from tests.images.case import Rgb
from tests.images.xyb import to_xyb, xyb_profile

Arrays = Callable[[], Rgb]


def colours(channels: int = 3, side: int = 48) -> Rgb:
    """(H, W) or (H, W, channels): random levels below a ramp of grey."""
    levels = np.random.default_rng(7).integers(0, 256, (side, side, channels), dtype=np.uint8)
    levels[:6] = np.linspace(0, 255, side).astype(np.uint8)[:, None]
    return levels if channels > 1 else levels[..., 0]


RGB, GREY = colours(), colours(1)
DOT_GAIN = "dot gain of 20 %"


def dot_gain(signal: icc.Floats) -> icc.Floats:
    """The light that a press leaves, which prints 70 % where 50 % is meant."""
    ink = 1 - signal
    return 1 - (ink + 0.8 * ink * (1 - ink))


GREY_DOT_GAIN = icc.profile(b"GRAY", {b"kTRC": icc.table_tag(dot_gain)})


def write(pixels: Rgb, kind: str, mode: str | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, kind, **options) if mode else Image.fromarray(pixels).save(
        file, kind, **options
    )
    return file.getvalue()


def png_file(*chunks: bytes, pixels: Rgb = RGB) -> bytes:
    return png.png(pixels, png.RGB if pixels.ndim == 3 else png.GREY, chunks=chunks)


def find(data: bytes, mode: Any = "srgb") -> ColourFinding:
    with Image.open(io.BytesIO(data)) as image:
        return find_colour(image, data, mode)


def convert(data: bytes, mode: Any = "srgb") -> Rgb:
    """The pixels as a viewer shows them: converted if anything is to be converted."""
    with Image.open(io.BytesIO(data)) as image:
        found = find_colour(image, data, mode)
        image.load()
        shown = found.conversion.apply(image) if found.conversion else image
        return np.asarray(shown.convert("RGB"))


def mean_error(got: Rgb, right: icc.Floats | Rgb | int) -> float:
    return float(np.abs(got.astype(float) - right).mean())


def three(grey: Rgb) -> Rgb:
    return np.repeat(grey[..., None], 3, axis=-1)


MATRIX_PROFILES = {
    "Display P3": (icc.P3_PROFILE, icc.P3, icc.srgb_decode),
    "Adobe RGB": (icc.ADOBE_PROFILE, icc.ADOBE, icc.gamma(icc.ADOBE_GAMMA)),
    "ProPhoto": (icc.PROPHOTO_PROFILE, icc.PROPHOTO, icc.gamma(461 / 256)),
    "gamma 1": (icc.matrix_profile(icc.SRGB, icc.gamma_tag(1.0)), icc.SRGB, icc.gamma(1.0)),
    "gamma 2.2": (icc.matrix_profile(icc.SRGB, icc.gamma_tag(2.2)), icc.SRGB, icc.gamma(563 / 256)),
}
LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
}


@pytest.mark.parametrize("name", MATRIX_PROFILES)
@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_matrix_profile_gives_the_levels_that_its_numbers_say(name: str, kind: str) -> None:
    profile, matrix, curve = MATRIX_PROFILES[name]
    data = write(RGB, kind, icc_profile=profile, **LOSSLESS[kind])
    stored, got = convert(data, "raw"), convert(data)
    assert mean_error(stored, RGB) < 1
    right = icc.convert_rgb(stored, matrix, curve)
    assert mean_error(got, right) < 0.2
    assert np.abs(got.astype(int) - right).max() <= 2


def test_a_jpeg_with_a_profile_is_converted() -> None:
    flat = np.kron(RGB[8:14, 8:14], np.ones((8, 8, 1), np.uint8))
    data = write(flat, "JPEG", icc_profile=icc.P3_PROFILE, quality=100, subsampling=0)
    assert mean_error(convert(data), icc.convert_rgb(flat, icc.P3, icc.srgb_decode)) < 1


SRGB_PROFILES = {
    "sampled, version 2": icc.SRGB_PROFILE_V2,
    "parametric, version 4": icc.SRGB_PROFILE_V4,
    "of 64 points": icc.matrix_profile(icc.SRGB, icc.table_tag(icc.srgb_decode, 64)),
    "of LittleCMS": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
}


@pytest.mark.parametrize("name", SRGB_PROFILES)
@pytest.mark.parametrize("pixels", [RGB, GREY], ids=["RGB", "grey"])
def test_srgb_in_any_variant_is_left_alone(name: str, pixels: Rgb) -> None:
    assert find(write(pixels, "PNG", icc_profile=SRGB_PROFILES[name])) == ColourFinding()


@pytest.mark.parametrize(("name", "shown"), [("Prüfer", "Prüfer"), ("P\n3\x1b x", "P3 x"), ("\ud800" * 6, "")])
def test_a_conversion_has_the_name_of_its_profile_on_one_line(name: str, shown: str) -> None:
    old, new = "corpus".encode("utf-16-be"), name.encode("utf-16-be", "surrogatepass")
    assert icc.P3_PROFILE.count(old) == 1
    profile = icc.P3_PROFILE.replace(old, new)
    found = find(write(RGB, "PNG", icc_profile=profile))
    assert found.conversion
    assert found.conversion.profile == shown


@pytest.mark.parametrize(
    ("profile", "right"),
    [
        (icc.grey_profile(1.8), icc.srgb_encode((GREY / 255.0) ** (461 / 256))),
        (GREY_DOT_GAIN, icc.srgb_encode(dot_gain(GREY / 255.0))),
        (icc.PROPHOTO_PROFILE, icc.srgb_encode((GREY / 255.0) ** (461 / 256))),
    ],
    ids=["gamma 1.8", DOT_GAIN, "an RGB profile"],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_follows_the_curve_of_its_profile(profile: bytes, right: Rgb, kind: str) -> None:
    got = convert(write(GREY, kind, icc_profile=profile))
    assert mean_error(got, three(right)) < 0.2


def test_cmyk_follows_its_profile_in_jpeg_and_tiff() -> None:
    flat = np.kron(colours(4)[8:14, 8:14], np.ones((8, 8, 1), np.uint8))
    right = icc.convert_cmyk(flat)
    for kind, options in {"TIFF": {}, "JPEG": {"quality": 100}}.items():
        got = convert(write(flat, kind, "CMYK", icc_profile=icc.cmyk_profile(), **options))
        assert mean_error(got, right) < 3, kind  # of the profile's own coarse table; 36 without it
    paper = write(np.zeros((8, 8, 4), np.uint8), "JPEG", "CMYK", icc_profile=icc.cmyk_profile())
    assert mean_error(convert(paper), 255) < 3


def test_cmyk_without_a_profile_is_left_to_the_plain_formula() -> None:
    assert find(write(colours(4), "TIFF", "CMYK")) == ColourFinding()


def test_xyb_gives_the_picture_that_was_encoded() -> None:
    xyb = to_xyb(RGB)
    assert mean_error(xyb, RGB) > 40
    got = convert(write(xyb, "PNG", icc_profile=xyb_profile()))
    assert mean_error(got, RGB) < 1.5


def lab_tiff(lab: Rgb) -> bytes:
    """CIELab in 8 bits, a and b signed (TIFF 6.0, section 23)."""
    high, wide = lab.shape[:2]
    data = lab.copy()
    data[..., 1:] ^= 128
    fields = {256: (4, wide), 257: (4, high), 259: (3, 1), 262: (3, 8), 273: (4, 128), 277: (3, 3), 278: (4, high)}
    rows = [(tag, kind, 1, value) for tag, (kind, value) in fields.items()] + [(258, 3, 3, 122), (279, 4, 1, data.size)]
    table = struct.pack("<H", len(rows)) + b"".join(struct.pack("<HHII", *row) for row in sorted(rows)) + bytes(4)
    return (b"II*\0" + struct.pack("<I", 8) + table).ljust(122, b"\0") + struct.pack("<3H", 8, 8, 8) + data.tobytes()


@pytest.mark.parametrize("mode", ["srgb", "raw"])
def test_cielab_is_converted_always(mode: str) -> None:
    lab = colours()
    lab[..., 1:] = 96 + lab[..., 1:] // 4
    floats = np.stack([lab[..., 0] / 2.55, lab[..., 1] - 128.0, lab[..., 2] - 128.0], axis=-1)
    got = convert(lab_tiff(lab), mode)
    assert mean_error(got, icc.lab_to_srgb(floats)) < 0.2
    assert convert(lab_tiff(np.array([[[255, 128, 128]]], np.uint8)), mode).tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept(mode: str) -> None:
    pixels = colours(len(mode))
    profile = icc.PROPHOTO_PROFILE if mode == "RGBA" else icc.grey_profile(1.8)
    image = Image.fromarray(pixels, mode)
    image.info["icc_profile"] = profile
    found = find_colour(image)
    assert found.conversion
    got = found.conversion.apply(image)
    assert got.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(got)[..., 3], pixels[..., -1])
    assert mean_error(np.asarray(got)[..., :3], np.asarray(image.convert("RGB"))) > 3


def test_a_palette_is_converted_when_it_is_expanded() -> None:
    image = Image.fromarray(RGB).quantize(64)
    image.info["icc_profile"] = icc.PROPHOTO_PROFILE
    found = find_colour(image)
    assert found.conversion
    expanded = image.convert("RGB")
    right = icc.convert_rgb(np.asarray(expanded), icc.PROPHOTO, icc.gamma(461 / 256))
    assert mean_error(np.asarray(found.conversion.apply(expanded)), right) < 0.2


def test_raw_ignores_all_profiles() -> None:
    for data in (
        write(RGB, "PNG", icc_profile=icc.PROPHOTO_PROFILE),
        png_file(png.gama(1.0)),
        png_file(png.cicp(12, 13)),
    ):
        assert find(data).conversion
        assert find(data, "raw") == ColourFinding()


DEVICE_LINK = icc.profile(b"RGB ", {b"A2B0": b""}, kind=b"link")


@pytest.mark.parametrize(
    ("pixels", "profile", "reason"),
    [
        (RGB, icc.cmyk_profile(), "is for CMYK, not RGB"),
        (RGB, icc.grey_profile(1.8), "is for grey, not RGB"),
        (GREY, icc.cmyk_profile(), "is for CMYK, not grey"),
        (RGB, DEVICE_LINK, "is for"),
        (RGB, icc.P3_PROFILE[:300], "is broken"),
        (RGB, icc.P3_PROFILE[:-20], "is broken"),
        (GREY, icc.grey_profile(1.8)[:-8], "is broken"),
        (RGB, icc.cmyk_profile()[:-4000], "is broken"),
        (RGB, b"no profile", "is broken"),
        (RGB, bytes(500), "is broken"),
        (RGB, icc.P3_PROFILE + bytes(8_000_000), "more than 8 MB"),
    ],
)
def test_a_profile_that_cannot_be_used_is_ignored_with_the_reason(pixels: Rgb, profile: bytes, reason: str) -> None:
    found = find(write(pixels, "TIFF", icc_profile=profile))
    assert found.conversion is None
    assert reason in found.ignored


def test_a_profile_in_several_segments_is_put_together() -> None:
    profile = icc.P3_PROFILE + bytes(200_000)
    data = write(RGB, "JPEG", icc_profile=profile)
    assert data.count(b"ICC_PROFILE\0") == 4
    assert find(data).conversion
    start = data.index(b"ICC_PROFILE\0\x02") - 4
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
    assert find(data[:start] + data[end:]) == ColourFinding(ignored="its colour profile is incomplete")


P3_CHUNKS = (png.gama(1 / 1.8), png.chrm(icc.D65_XY, icc.P3_XY))
ADOBE_CHUNK, BROKEN_CHUNK = png.iccp(icc.ADOBE_PROFILE), png.iccp(b"no profile")
SRGB_CHUNK = png.chunk(b"sRGB", b"\0")
AS_P3, AS_ADOBE = (icc.convert_rgb(RGB, *MATRIX_PROFILES[name][1:]) for name in ("Display P3", "Adobe RGB"))
AS_18 = icc.convert_rgb(RGB, icc.SRGB, icc.gamma(1.8))


@pytest.mark.parametrize(
    ("chunks", "right"),
    [
        ([png.cicp(12, 13)], AS_P3),
        ([png.cicp(12, 13), ADOBE_CHUNK, SRGB_CHUNK, *P3_CHUNKS], AS_P3),
        ([ADOBE_CHUNK, png.cicp(12, 13)], AS_P3),
        ([ADOBE_CHUNK, SRGB_CHUNK, *P3_CHUNKS], AS_ADOBE),
        ([SRGB_CHUNK, *P3_CHUNKS], RGB),
        ([*P3_CHUNKS], icc.convert_rgb(RGB, icc.P3, icc.gamma(1.8))),
        ([png.gama(1 / 1.8)], AS_18),
        ([png.gama(0.45455)], RGB),
        ([png.gama(0.44)], RGB),
        ([png.gama(0.45455), png.chrm(icc.D65_XY, icc.SRGB_XY)], icc.convert_rgb(RGB, icc.SRGB, icc.gamma(2.2))),
        ([png.chrm(icc.D65_XY, icc.P3_XY)], RGB),
        ([png.cicp(1, 13)], RGB),
        ([png.cicp(1, 8)], icc.convert_rgb(RGB, icc.SRGB, icc.gamma(1.0))),
        ([png.cicp(9, 1)], icc.convert_rgb(RGB, icc.colorants(icc.REC2020_XY), icc.gamma(2.4))),
    ],
)
def test_png_chunks_count_in_the_order_of_the_standard(chunks: list[bytes], right: Rgb) -> None:
    assert mean_error(convert(png_file(*chunks)), right) < 0.2


@pytest.mark.parametrize(
    ("chunks", "right", "reason"),
    [
        ([BROKEN_CHUNK, png.gama(1 / 1.8)], AS_18, "broken"),
        ([png.chunk(b"iCCP", b"name\0\0not deflated"), png.gama(1 / 1.8)], AS_18, "iCCP"),
        ([png.chunk(b"iCCP", b""), png.gama(1 / 1.8)], AS_18, "iCCP"),
        ([png.cicp(2, 2), ADOBE_CHUNK], AS_ADOBE, "not specified"),
        ([png.cicp(99, 99), ADOBE_CHUNK], AS_ADOBE, "99"),
        ([png.chunk(b"cICP", bytes([12, 13, 0, 0]))], RGB, "narrow range"),
        ([png.chunk(b"cICP", b"\x0c")], RGB, "cICP"),
        ([png.iccp(icc.grey_profile(1.8)), png.gama(1 / 1.8)], RGB, "grey"),
        ([png.gama(0)], RGB, "gAMA"),
        ([png.gama(1.0), png.chrm((0.3, 0.3), [(0.1, 0.1)] * 3)], RGB, "gAMA"),
        ([png.gama(1.0), png.chrm((0.3, 0.0), icc.P3_XY)], RGB, "gAMA"),
        ([png.gama(1.0), png.chunk(b"cHRM", b"short")], RGB, "cHRM"),
    ],
)
def test_a_png_chunk_that_cannot_be_used_is_reported_and_the_next_counts(
    chunks: list[bytes], right: Rgb, reason: str
) -> None:
    data = png_file(*chunks)
    found = find_colour(Image.fromarray(RGB), data)  # Pillow refuses some of these chunks, and the opener removes them
    got = found.conversion.apply(Image.fromarray(RGB)) if found.conversion else Image.fromarray(RGB)
    assert reason in found.ignored
    assert mean_error(np.asarray(got), right) < 0.2


def test_png_chunks_with_a_wrong_checksum_or_behind_the_pixels_do_not_count() -> None:
    gamma = png.chunk(b"gAMA", struct.pack(">I", 100_000), crc=1)
    assert find_colour(Image.fromarray(RGB), png_file(gamma)) == ColourFinding()
    late = png.png(RGB, png.RGB, after=[png.gama(1.0)])
    assert find_colour(Image.fromarray(RGB), late) == ColourFinding()


@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
def test_hdr_has_half_the_light_of_sdr_at_the_reference_white_and_no_step(transfer: int) -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    got = convert(png_file(png.cicp(9, transfer), pixels=ramp))[0, :, 0].astype(int)
    white = {16: round(0.5807 * 255), 18: round(0.75 * 255)}[transfer]  # ITU-R BT.2408, table 1
    assert abs(got[white] - int(icc.srgb_encode(np.array(0.5)))) <= 2
    assert (np.diff(got) >= 0).all()
    assert (got[0], got[255]) == (0, 255)


HDR_LEVELS = [(148, 148, 148), (40, 90, 200), (200, 60, 30), (120, 190, 60), (230, 225, 90), (90, 20, 110)]
CHROMIUM_156 = {  # what it shows of them on an SDR display
    (9, 16): [(187, 187, 187), (0, 21, 255), (255, 0, 0), (0, 255, 0), (255, 234, 0), (75, 0, 99)],
    (12, 16): [(187, 187, 187), (0, 33, 255), (255, 0, 0), (0, 255, 0), (255, 243, 0), (68, 0, 98)],
    (9, 18): [(120, 120, 120), (0, 68, 182), (230, 0, 0), (0, 188, 0), (246, 222, 0), (74, 0, 77)],
    (1, 18): [(120, 120, 120), (28, 68, 176), (182, 46, 20), (102, 181, 51), (238, 227, 69), (59, 7, 73)],
}


@pytest.mark.parametrize("codes", CHROMIUM_156)
def test_hdr_colours_are_those_of_chromium(codes: tuple[int, int]) -> None:
    pixels = np.array([HDR_LEVELS], np.uint8)
    for data in (png_file(png.cicp(*codes), pixels=pixels), png_file(png.iccp(with_codes_tag(*codes)), pixels=pixels)):
        np.testing.assert_allclose(convert(data)[0], CHROMIUM_156[codes], atol=1)


def with_codes_tag(primaries: int, transfer: int) -> bytes:
    """A profile of version 4.4 that says one thing by its tag `cicp` and another by its matrix."""
    return icc.profile(b"RGB ", {b"cicp": b"cicp\0\0\0\0" + bytes((primaries, transfer, 0, 1))}, version=4)


def test_a_profile_with_unknown_codes_counts_by_its_curves() -> None:
    colorants = {name: icc.xyz_tag(icc.P3[:, place]) for place, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), icc.srgb_parametric_tag())
    codes = {b"cicp": b"cicp\0\0\0\0" + bytes((99, 99, 0, 1))}
    profile = icc.profile(b"RGB ", colorants | curves | codes, version=4)
    assert mean_error(convert(write(RGB, "PNG", icc_profile=profile)), AS_P3) < 0.2


def avif(**options: Any) -> bytes:
    return write(RGB, "AVIF", quality=100, subsampling="4:4:4", **options)


def with_codes(data: bytes, primaries: int, transfer: int) -> bytes:
    start = data.index(b"nclx") + 4
    return data[:start] + struct.pack(">HH", primaries, transfer) + data[start + 4 :]


@pytest.mark.parametrize(("codes", "right"), [((12, 13), AS_P3), ((1, 1), RGB), ((2, 2), RGB), ((12, 2), AS_P3)])
def test_avif_follows_its_nclx_box(codes: tuple[int, int], right: Rgb) -> None:
    assert mean_error(convert(with_codes(avif(), *codes)), right) < 1


def test_a_profile_in_avif_comes_before_nclx() -> None:
    data = with_codes(avif(icc_profile=icc.ADOBE_PROFILE), 12, 13)
    assert mean_error(convert(data), AS_ADOBE) < 1


def test_unknown_codes_in_avif_are_reported() -> None:
    assert "99" in find(with_codes(avif(), 99, 13)).ignored


def bmp_with_profile(profile: bytes) -> bytes:
    """A header of version 5, whose offset of the profile counts from the header's start."""
    high, wide = RGB.shape[:2]
    pixels = RGB[::-1, :, ::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, wide, high, 1, 24, 0, len(pixels), 0, 0, 0, 0) + bytes(16) + b"DEBM"
    header = header.ljust(108, b"\0") + struct.pack("<4I", 4, 124 + len(pixels), len(profile), 0)
    return b"BM" + struct.pack("<IHHI", 138 + len(pixels) + len(profile), 0, 0, 138) + header + pixels + profile


def test_a_bmp_may_embed_a_profile() -> None:
    assert mean_error(convert(bmp_with_profile(icc.P3_PROFILE)), AS_P3) < 0.2
    assert find(bmp_with_profile(b"")).ignored == "its colour profile is broken"


def test_the_colour_space_that_exif_names_is_ignored_as_by_browsers() -> None:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 2, 0xA005: {1: "R03"}}
    assert find(write(RGB, "JPEG", exif=exif.tobytes())) == ColourFinding()


def test_of_an_hdr_jpeg_with_a_gain_map_the_first_picture_is_converted() -> None:
    file = io.BytesIO()
    gain = Image.new("L", (8, 8), 200)
    Image.fromarray(RGB).save(file, "MPO", save_all=True, append_images=[gain], icc_profile=icc.P3_PROFILE)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        found = find_colour(image, file.getvalue())
        assert (image.format, image.size, image.mode) == ("MPO", (48, 48), "RGB")
    assert found.conversion


LATE = {"P3": (icc.P3_PROFILE, True), "Adobe RGB": (icc.ADOBE_PROFILE, True), "XYB": (xyb_profile(), False)}


@pytest.mark.parametrize("name", LATE)
def test_a_mild_conversion_may_wait_until_the_image_is_small(name: str) -> None:
    profile, waits = LATE[name]
    data = write(RGB, "PNG", icc_profile=profile)
    late, early = decode_image(data, late_colour=True), decode_image(data)
    assert early.to_srgb is None
    assert (late.to_srgb is not None) == waits
    shown = late.to_srgb(late.pixels) if late.to_srgb else late.pixels
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(early.pixels))


def test_transparent_grey_linear_and_srgb_pixels_never_wait() -> None:
    linear = icc.matrix_profile(icc.SRGB, icc.gamma_tag(1.0))
    for pixels, profile in ((colours(4), icc.P3_PROFILE), (GREY, icc.grey_profile(1.8)), (RGB, linear)):
        decoded = decode_image(write(pixels, "PNG", icc_profile=profile), late_colour=True)
        assert decoded.to_srgb is None
        assert mean_error(np.asarray(decoded.pixels), np.asarray(Image.fromarray(pixels).convert("RGB"))) > 2
    assert decode_image(write(RGB, "PNG", icc_profile=icc.SRGB_PROFILE_V4), late_colour=True).to_srgb is None


def test_a_finding_is_made_once_for_a_profile() -> None:
    data = write(RGB, "PNG", icc_profile=icc.PROPHOTO_PROFILE)
    assert find(data).conversion is find(data).conversion


def test_the_cache_keeps_the_latest_profiles() -> None:
    cache = FindingCache(2)
    profiles = [icc.matrix_profile(icc.SRGB, icc.gamma_tag(value)) for value in (1.0, 1.5, 1.8)]
    first, second = (cache.find(profile, "RGB") for profile in profiles[:2])
    assert cache.find(profiles[0], "RGB") is first
    cache.find(profiles[2], "RGB")
    assert cache.find(profiles[0], "RGB") is first
    assert cache.find(profiles[1], "RGB") is not second


def test_threads_share_a_conversion() -> None:
    image = Image.fromarray(colours(side=256))
    image.info["icc_profile"] = icc.P3_PROFILE
    found = find_colour(image)
    assert found.conversion
    right = found.conversion.apply(image).tobytes()
    with ThreadPoolExecutor(8) as pool:
        assert {result.tobytes() for result in pool.map(found.conversion.apply, [image] * 64)} == {right}


@settings(deadline=None, max_examples=60)
@given(
    place=st.integers(0, 2000), noise=st.binary(min_size=1, max_size=40), kind=st.sampled_from(["rgb", "cmyk", "xyb"])
)
def test_a_damaged_profile_never_raises(place: int, noise: bytes, kind: str) -> None:
    whole, mode = {
        "rgb": (icc.P3_PROFILE, "RGB"), "cmyk": (icc.cmyk_profile(), "CMYK"), "xyb": (xyb_profile(), "RGB"),
    }[kind]  # fmt: skip
    start = place % len(whole)
    image = Image.new(mode, (4, 4), 90)
    image.info["icc_profile"] = whole[:start] + noise + whole[start + len(noise) :]
    found = find_colour(image)
    if found.conversion:
        assert found.conversion.apply(image).size == (4, 4)
    assert len(found.ignored) < 200


@settings(deadline=None, max_examples=120)
@given(
    place=st.integers(0, 400), noise=st.binary(min_size=1, max_size=30), kind=st.sampled_from(["avif", "png", "bmp"])
)
def test_damaged_descriptions_never_raise(place: int, noise: bytes, kind: str) -> None:
    whole = {"avif": AVIF, "png": png_file(png.cicp(9, 16), ADOBE_CHUNK, *P3_CHUNKS), "bmp": bmp_with_profile(b"")}[
        kind
    ]
    found = find_colour(Image.new("RGB", (4, 4)), whole[:place] + noise + whole[place + len(noise) :])
    assert isinstance(found, ColourFinding)


AVIF = with_codes(avif(), 12, 13)
