"""TIFF files: every layout against the numbers that were written, and against libtiff."""

import io
import lzma
import random
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import product

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, TiffImagePlugin

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.images.pillow import identify_image
from clip_vectorizer.images.tiff import decode_tiff, decode_tiff_rows
from clip_vectorizer.images.tiff_directory import list_tiff_pages
from clip_vectorizer.images.tiff_pages import extract_tiff_page
from clip_vectorizer.images.tiff_trust import trusts_pillow
from clip_vectorizer.images.upright import upright_rgb
from tests.images.tiff_writer import TiffFile, deflate, draw_gradient, write_pages

HIGH, WIDE = 37, 53  # no multiple of a tile, a byte or a block
MOST = 10_000_000
Compress = Callable[[bytes], bytes]
BYTE_CODECS: dict[int, Compress] = {
    5: imagecodecs.lzw_encode,
    8: deflate,
    32773: imagecodecs.packbits_encode,
    34925: lzma.compress,
    50000: imagecodecs.zstd_encode,
}
GREY, RGB = 1, 2
UNASSOCIATED = {338: (3, (2,))}
ASSOCIATED = {338: (3, (1,))}


def integers(bits: int, samples: int) -> npt.NDArray[np.uint64]:
    values = np.rint(draw_gradient(HIGH, WIDE, samples) * (2.0**bits - 1))
    return np.minimum(values, 2.0**64 - 2048).astype(np.uint64)


def bytes_of(values: npt.NDArray[np.generic], bits: int) -> npt.NDArray[np.float64]:
    return np.rint(values.astype(np.float64) / (2.0**bits - 1) * 255)


def decoded(file: TiffFile) -> npt.NDArray[np.float64]:
    pixels = np.asarray(decode_tiff(file.write(), MOST)).astype(np.float64)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def assert_near(got: npt.NDArray[np.float64], right: npt.NDArray[np.float64], levels: float = 1.0) -> None:
    assert got.shape == right.shape
    assert np.abs(got - right).max() <= levels


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32, 64])
def test_integers_of_every_depth_are_scaled_by_their_depth(bits: int) -> None:
    for samples, order, tile, planar, big in product((1, 3), "<>", (0, 16), (False, True), (False, True)):
        values = integers(bits, samples)
        file = TiffFile(
            samples=values, bits=bits, photometric=GREY if samples == 1 else RGB, order=order, tile=tile,
            planar=planar, big=big,
        )  # fmt: skip
        assert_near(decoded(file), bytes_of(values, bits))


def test_a_dark_picture_stays_dark() -> None:
    values = integers(12, 1) // 16
    assert decoded(TiffFile(samples=values, bits=12)).max() == 16


@pytest.mark.parametrize("compression", BYTE_CODECS)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_codecs_of_bytes_in_strips_and_tiles_and_planes(compression: int, bits: int) -> None:
    for tile, planar in product((0, 16), (False, True)):
        values = integers(bits, 3)
        file = TiffFile(
            samples=values, bits=bits, photometric=RGB, tile=tile, planar=planar, compression=compression,
            compress=BYTE_CODECS[compression],
        )  # fmt: skip
        assert_near(decoded(file), bytes_of(values, bits))


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_differences_between_neighbours_are_added_up(bits: int, order: str) -> None:
    for planar in (False, True):
        values = integers(bits, 3)
        file = TiffFile(
            samples=values, bits=bits, photometric=RGB, order=order, planar=planar, compression=8, compress=deflate,
            predictor=2,
        )  # fmt: skip
        assert_near(decoded(file), bytes_of(values, bits))


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_floats_with_and_without_predictor(bits: int, order: str, predictor: int) -> None:
    values = draw_gradient(HIGH, WIDE, 3)
    file = TiffFile(
        samples=values, bits=bits, photometric=RGB, sample_format=3, order=order, compression=8, compress=deflate,
        predictor=predictor,
    )  # fmt: skip
    assert_near(decoded(file), np.rint(values * 255))


@pytest.mark.parametrize(("brightest", "white"), [(1.0, 1.0), (1.5, 255.0), (255.0, 255.0), (60_000.0, 65_535.0)])
def test_floats_are_scaled_by_the_range_that_holds_them(brightest: float, white: float) -> None:
    values = draw_gradient(HIGH, WIDE, 1) * brightest
    got = decoded(TiffFile(samples=values, bits=32, sample_format=3))
    assert_near(got, np.rint(values / white * 255))


def test_a_few_highlights_do_not_make_a_picture_black() -> None:
    values = draw_gradient(HIGH, WIDE, 1)
    values[0, 0] = 40.0
    got = decoded(TiffFile(samples=values, bits=32, sample_format=3))
    assert got[0, 0, 0] == 255
    assert_near(got[1:], np.rint(values * 255)[1:])


def test_no_number_and_negative_ones_are_black() -> None:
    values = draw_gradient(HIGH, WIDE, 1)
    values[0, :3, 0] = np.nan, -np.inf, -3
    assert (decoded(TiffFile(samples=values, bits=32, sample_format=3))[0, :3, 0] == 0).all()


def test_signed_integers_have_the_range_of_their_type_if_one_is_negative() -> None:
    values = np.rint(draw_gradient(HIGH, WIDE, 1) * 65535).astype(np.int64) - 32768
    assert_near(decoded(TiffFile(samples=values, bits=16, sample_format=2)), np.rint((values + 32768) / 257))


@pytest.mark.parametrize(("bits", "brightest", "white"), [(16, 255, 255), (16, 9000, 32767), (32, 65000, 65535)])
def test_signed_integers_without_a_negative_one(bits: int, brightest: int, white: int) -> None:
    values = np.rint(draw_gradient(HIGH, WIDE, 1) * brightest).astype(np.int64)
    assert_near(decoded(TiffFile(samples=values, bits=bits, sample_format=2)), np.rint(values * 255 / white))


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16, 32])
def test_where_the_least_number_is_white_the_largest_is_black(bits: int) -> None:
    values = integers(bits, 1)
    assert_near(decoded(TiffFile(samples=values, bits=bits, photometric=0)), 255 - bytes_of(values, bits))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_alpha_of_rgb_and_grey(bits: int) -> None:
    for samples, planar in product((2, 4), (False, True)):
        values = integers(bits, samples)
        right = bytes_of(values, bits)
        right = np.concatenate([np.repeat(right[:, :, :1], 3, 2), right[:, :, 1:]], 2) if samples == 2 else right
        photometric = GREY if samples == 2 else RGB
        file = TiffFile(samples=values, bits=bits, photometric=photometric, planar=planar, more=UNASSOCIATED)
        assert_near(decoded(file), right)


def test_associated_alpha_is_taken_out_of_the_colours() -> None:
    alpha = 0.25 + draw_gradient(HIGH, WIDE, 1) * 0.75
    colours = draw_gradient(HIGH, WIDE, 3)
    values = np.rint(np.concatenate([colours * alpha, alpha], 2) * 65535).astype(np.uint64)
    got = decoded(TiffFile(samples=values, bits=16, photometric=RGB, planar=True, more=ASSOCIATED))
    assert_near(got, np.rint(np.concatenate([colours, alpha], 2) * 255), levels=4)


def test_samples_that_are_no_alpha_are_left_out() -> None:
    values = integers(12, 5)
    file = TiffFile(samples=values, bits=12, photometric=RGB, more={338: (3, (0, 0))})
    assert_near(decoded(file), bytes_of(values[:, :, :3], 12))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("scale", [1, 257])
def test_palettes_of_every_depth_with_colours_of_8_and_16_bits(bits: int, scale: int) -> None:
    table = np.random.default_rng(1).integers(0, 256, (3, 2**bits))
    table[0, 0] = 255
    values = integers(bits, 1)
    file = TiffFile(samples=values, bits=bits, photometric=3, more={320: (3, tuple((table * scale).ravel().tolist()))})
    assert_near(decoded(file), table[:, values[:, :, 0].astype(int)].transpose(1, 2, 0).astype(float), levels=0)


@pytest.mark.parametrize("bits", [8, 16])
def test_inks_in_planes(bits: int) -> None:
    values = integers(bits, 4)
    image = decode_tiff(TiffFile(samples=values, bits=bits, photometric=5, planar=True).write(), MOST)
    assert image.mode == "CMYK"
    assert_near(np.asarray(image).astype(float), bytes_of(values, bits))


@pytest.mark.parametrize("sample_format", [1, 2])
def test_cielab_of_16_bits_is_that_of_8(sample_format: int) -> None:
    shades = draw_gradient(HIGH, WIDE, 3)
    signed = np.rint((shades - (0, 0.5, 0.5)) * (255, 200, 200)).astype(np.int64)
    eight = decode_tiff(TiffFile(samples=signed, bits=8, photometric=8).write(), MOST)
    file = TiffFile(samples=signed * 256, bits=16, photometric=8, sample_format=sample_format, planar=True)
    deep = decode_tiff(file.write(), MOST)
    assert eight.mode == deep.mode == "LAB"
    assert eight.tobytes() == deep.tobytes()
    with identify_image(io.BytesIO(TiffFile(samples=signed, bits=8, photometric=8).write())) as image:
        assert image.tobytes() == eight.tobytes()


@pytest.mark.parametrize("sharing", [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4)])
@pytest.mark.parametrize("rows", [8, 16, HIGH])
def test_ycbcr_blocks_are_those_of_libtiff(sharing: tuple[int, int], rows: int) -> None:
    data = write_ycbcr(sharing, rows)
    right = np.asarray(imagecodecs.tiff_decode(data, asrgb=True))[:, :, :3].astype(float)
    assert_near(np.asarray(decode_tiff(data, MOST)).astype(float), right)


def write_ycbcr(sharing: tuple[int, int], rows: int) -> bytes:
    """Blocks of luma and two colour differences, uncompressed."""
    across, down = sharing
    planes = np.rint(draw_gradient(HIGH + 4, WIDE + 4, 3) * 255)
    strips = []
    for top in range(0, HIGH, rows):
        block_rows = -(-min(rows, HIGH - top) // down)
        blocks = []
        for y, x in product(range(top, top + block_rows * down, down), range(0, WIDE, across)):
            blocks += [*planes[y : y + down, x : x + across, 0].ravel(), planes[y, x, 1], planes[y, x, 2]]
        strips.append(bytes(map(int, blocks)))
    more = {530: (3, sharing)}
    return TiffFile(
        samples=np.zeros((HIGH, WIDE, 3)), bits=8, photometric=6, strip_rows=rows, more=more, segments=strips
    ).write()


@pytest.mark.parametrize("is_colour", [True, False])
def test_logluv_is_what_libtiff_shows(is_colour: bool) -> None:
    """libtiff encodes light by a square root; the rest is equal."""
    shades = draw_gradient(HIGH, WIDE, 3)
    codes = np.floor(256 * (np.log2(0.01 + 0.99 * shades[:, :, 0]) + 64)).astype(np.int64)
    if is_colour:
        x, y = 0.25 + 0.2 * shades[:, :, 1], 0.25 + 0.2 * shades[:, :, 2]
        u, v = (np.floor(410 * part / (12 * y - 2 * x + 3)).astype(np.int64) for part in (4 * x, 9 * y))
        codes = codes << 16 | u << 8 | v
    planes = 4 if is_colour else 2
    rows = [row >> shift & 255 for row in codes for shift in range(8 * planes - 8, -8, -8)]
    strip = b"".join(pack_log_runs(row.astype(np.uint8).tobytes()) for row in rows)
    page = TiffFile(
        samples=np.zeros((HIGH, WIDE, 3 if is_colour else 1)), bits=16, sample_format=2, compression=34676,
        photometric=32845 if is_colour else 32844, strip_rows=HIGH, segments=[strip],
    )  # fmt: skip
    data = page.write()
    shown = np.asarray(imagecodecs.tiff_decode(data, asrgb=True))[:, :, :3].astype(float)
    light = (shown / 255) ** 2
    right = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert_near(np.asarray(decode_tiff(data, MOST).convert("RGB")).astype(float), right, levels=2)


def pack_log_runs(row: bytes) -> bytes:
    out, at = bytearray(), 0
    while at < len(row):
        run = next((end for end in range(at, len(row)) if row[end] != row[at]), len(row)) - at
        size = run if run >= 4 else min(5, len(row) - at)
        out += bytes([size + 126, row[at]]) if run >= 4 else bytes([size]) + row[at : at + size]
        at += size
    return bytes(out)


def encode_block(encode: Callable[[npt.NDArray[np.uint8]], bytes]) -> Compress:
    return lambda raw: encode(np.frombuffer(raw, np.uint8).reshape(16, 16, 3))


PICTURE_CODECS: dict[int, tuple[Compress, float]] = {
    7: (encode_block(lambda block: imagecodecs.jpeg_encode(block, 98, colorspace="rgb", outcolorspace="rgb")), 40),
    34712: (encode_block(lambda block: imagecodecs.jpeg2k_encode(block)), 0),
    34887: (encode_block(lambda block: imagecodecs.lerc_encode(block)), 0),
    50001: (encode_block(lambda block: imagecodecs.webp_encode(block, lossless=True)), 0),
    50002: (encode_block(lambda block: imagecodecs.jpegxl_encode(block, lossless=True)), 0),
}


@pytest.mark.parametrize("compression", PICTURE_CODECS)
def test_tiles_that_are_images(compression: int) -> None:
    compress, levels = PICTURE_CODECS[compression]
    values = integers(8, 3)
    file = TiffFile(samples=values, bits=8, photometric=RGB, tile=16, compression=compression, compress=compress)
    assert_near(decoded(file), values.astype(float), levels)


@pytest.mark.parametrize(("compression", "name"), [(34661, "JBIG"), (12345, "unknown (12345)")])
def test_a_compression_that_is_not_read_is_named(compression: int, name: str) -> None:
    file = TiffFile(samples=integers(8, 1), bits=8, compression=compression)
    with pytest.raises(ImageRefused, match=f"a TIFF with {name.replace('(', '.').replace(')', '.')} compression"):
        decode_tiff(file.write(), MOST)


@pytest.mark.parametrize(("compression", "name"), [(34887, "LERC"), (50002, "JPEG XL"), (34677, "LogLuv 24-bit")])
def test_without_the_extra_a_refusal_names_it(compression: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)  # as Python marks what cannot be imported
    data = TiffFile(samples=integers(8, 1), bits=8, compression=compression).write()
    with pytest.raises(ImageRefused, match=rf"a TIFF with {name} compression; .*`pip install clip-vectorizer\[tiff\]`"):
        decode_image(data)


def test_without_the_extra_the_usual_layouts_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    values = integers(12, 3)
    for compression in (1, 8, 50000):
        compress = BYTE_CODECS.get(compression, bytes)
        file = TiffFile(
            samples=values, bits=12, photometric=RGB, planar=True, compression=compression, compress=compress
        )
        assert_near(decoded(file), bytes_of(values, 12))


@pytest.mark.parametrize(("samples", "bits"), [(1, 1), (1, 4), (1, 8), (3, 8), (3, 12), (4, 8)])
def test_without_a_tag_for_the_colours_they_are_guessed(samples: int, bits: int) -> None:
    values = integers(bits, samples)
    more = UNASSOCIATED if samples == 4 else {}
    assert_near(decoded(TiffFile(samples=values, bits=bits, photometric=None, more=more)), bytes_of(values, bits))


@pytest.mark.parametrize("without", [(279,), (278,), (258, 284, 339), (317, 266, 259)])
def test_tags_that_may_be_missing(without: tuple[int, ...]) -> None:
    values = integers(8, 1) if 258 not in without else integers(1, 1)
    bits = 1 if 258 in without else 8
    rows = HIGH if 278 in without else 7
    file = TiffFile(samples=values, bits=bits, strip_rows=rows, without=without)
    assert_near(decoded(file), bytes_of(values, bits))


def test_sizes_of_zero_bytes_are_replaced_by_what_the_file_has() -> None:
    values = integers(8, 3)
    file = TiffFile(samples=values, bits=8, photometric=RGB, compression=8, compress=deflate)
    count = -(-HIGH // file.strip_rows)
    assert_near(decoded(replace(file, more={279: (4, (0,) * count)})), values.astype(float))


@pytest.mark.parametrize("fill_order", [1, 2])
def test_bits_in_reverse(fill_order: int) -> None:
    for bits, planar in product((1, 8, 12), (False, True)):
        values = integers(bits, 3)
        file = TiffFile(samples=values, bits=bits, photometric=RGB, fill_order=fill_order, planar=planar)
        assert_near(decoded(file), bytes_of(values, bits))


def test_what_pillow_is_trusted_with_it_decodes_rightly() -> None:
    """Every layout that Pillow opens: where `trusts_pillow` is true, its pixels are the ones written."""
    trusted = 0
    depths = (1, 2, 4, 8, 12, 16, 32)
    layouts = ((0, 1), (1, 1), (1, 2), (2, 3), (2, 4), (5, 4), (None, 1), (None, 3))
    for bits, (photometric, samples), planar, order, packed in product(
        depths, layouts, (False, True), "<>", (False, True)
    ):
        more = UNASSOCIATED if samples == 2 or (samples, photometric) == (4, 2) else {}
        codec = {"compression": 8, "compress": deflate} if packed else {}
        for fill_order in (1, 2):
            file = TiffFile(
                samples=integers(bits, samples), bits=bits, photometric=photometric, planar=planar, order=order,
                fill_order=fill_order, more=more, **codec,
            )  # fmt: skip
            data = file.write()
            try:
                image = identify_image(io.BytesIO(data))
                assert isinstance(image, TiffImagePlugin.TiffImageFile)
                if not trusts_pillow(image):
                    continue
                image.load()
            except OSError:
                continue
            trusted += 1
            right = upright_rgb(decode_tiff(data, MOST))
            assert_near(np.asarray(upright_rgb(image)).astype(float), np.asarray(right).astype(float))
    assert trusted > 60


def test_planes_of_16_bits_have_the_pixels_of_interleaved_ones() -> None:
    values = integers(16, 3)
    files = [TiffFile(samples=values, bits=16, photometric=RGB, planar=planar).write() for planar in (False, True)]
    assert decode_image(files[0]).pixels.tobytes() == decode_image(files[1]).pixels.tobytes()


def test_profile_and_orientation_are_kept() -> None:
    file = TiffFile(samples=integers(12, 1), bits=12, more={274: (3, (6,)), 34675: (7, tuple(b"profile"))})
    image = decode_tiff(file.write(), MOST)
    assert (image.size, image.getexif()[274], image.info["icc_profile"]) == ((WIDE, HIGH), 6, b"profile")
    assert decode_image(file.write()).pixels.size == (HIGH, WIDE)


def test_a_page_is_chosen_by_its_number() -> None:
    pages = [TiffFile(samples=np.full((5, 5, 1), grey), bits=12) for grey in (0, 4095)]
    assert [decode_tiff(write_pages(pages), MOST, page).getpixel((2, 2)) for page in (0, 1)] == [0, 255]
    with pytest.raises(ImageRefused, match="without a page 3"):
        decode_tiff(write_pages(pages), MOST, 2)


def test_missing_strips_are_gaps_and_the_others_are_there() -> None:
    values = integers(12, 1)
    data = TiffFile(samples=values, bits=12, without=(279,)).write()
    at = data.index(struct.pack("<I", 8 + 7 * 80))  # the offset of the second strip
    partial = decode_tiff_rows(data[:at] + struct.pack("<I", 2**31) + data[at + 4 :], MOST)
    assert list(partial.gaps) == [(0, 7, WIDE, 14)]
    got = np.asarray(partial.image).astype(float)[:, :, None]
    assert_near(np.delete(got, slice(7, 14), 0), np.delete(bytes_of(values, 12), slice(7, 14), 0))


def test_a_file_that_ends_early_is_refused_with_what_is_there() -> None:
    data = TiffFile(samples=integers(16, 3), bits=16, photometric=RGB, planar=True, strip_rows=HIGH).write()
    directory = struct.unpack_from("<I", data, 4)[0]
    moved = b"".join([data[:4], struct.pack("<I", 8), data[directory:]])
    assert directory > len(moved) - 8  # the pixels are gone
    with pytest.raises(ImageRefused):
        decode_tiff(moved, MOST)


def test_too_many_pixels_are_refused_before_any_is_decoded() -> None:
    file = TiffFile(samples=integers(12, 1), bits=12, more={256: (4, (60_000,)), 257: (4, (60_000,))})
    with pytest.raises(ImageRefused, match="60000 x 60000 is 3600 megapixels") as refused:
        decode_tiff(file.write(), MOST)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "more",
    [
        {257: (4, (9_000_000,)), 256: (4, (1,)), 278: (4, (1,))},
        {278: (4, (2**31,)), 257: (4, (180_000,))},
        {322: (4, (2**31,)), 323: (4, (2**31,)), 324: (4, (8,)), 325: (4, (100,))},
        {322: (4, (1,)), 323: (4, (1,)), 324: (4, (8,)), 325: (4, (100,))},
        {277: (3, (65_535,))},
        {273: (4, (2**32 - 1,) * 6)},
        {279: (4, (2**32 - 1,) * 6)},
        {258: (3, (0,))},
        {258: (3, (65_535,))},
        {256: (4, (0,))},
    ],
)
def test_impossible_tags_cost_little(more: dict[int, tuple[int, tuple[float, ...]]]) -> None:
    file = TiffFile(samples=integers(12, 1), bits=12, compression=5, compress=imagecodecs.lzw_encode, more=more)
    start = time.perf_counter()
    with suppress(ImageRefused):
        decode_tiff(file.write(), MOST)
    assert time.perf_counter() - start < 5


def test_planes_of_different_depths_are_refused() -> None:
    file = TiffFile(samples=integers(8, 3), bits=8, photometric=RGB, planar=True, more={258: (3, (8, 16, 8))})
    with pytest.raises(ImageRefused, match="planes of different depths"):
        decode_tiff(file.write(), MOST)


def test_samples_of_different_depths_are_each_scaled_by_theirs() -> None:
    shades = np.rint(draw_gradient(HIGH, WIDE, 3) * (31, 63, 31)).astype(np.int64)
    joined = shades[:, :, :1] << 11 | shades[:, :, 1:2] << 5 | shades[:, :, 2:]
    page = TiffFile(samples=np.zeros((HIGH, WIDE, 3)), bits=8, photometric=RGB, strip_rows=HIGH)
    strip = joined.astype(">u2").tobytes()
    data = replace(page, more={258: (3, (5, 6, 5))}, segments=[strip]).write()
    assert_near(np.asarray(decode_tiff(data, MOST)).astype(float), np.rint(shades / (31, 63, 31) * 255))


def test_a_small_strip_that_inflates_without_end_is_cut() -> None:
    bomb = deflate(bytes(50_000_000))
    file = TiffFile(samples=integers(8, 1), bits=8, compression=8, compress=lambda _: bomb)
    assert (decoded(file) == 0).all()


def test_pages_that_lead_back_are_listed_once() -> None:
    data = bytearray(TiffFile(samples=integers(8, 1), bits=8).write())
    first = struct.unpack_from("<I", data, 4)[0]
    link = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, link, first)
    assert list_tiff_pages(io.BytesIO(bytes(data))) == [first]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_page_cut_out_has_the_pixels_of_the_page(big: bool, order: str) -> None:
    pages = [
        TiffFile(samples=integers(12, 3) // part, bits=12, photometric=RGB, order=order, big=big, tile=tile)
        for part, tile in ((1, 0), (2, 16), (3, 0))
    ]
    file = io.BytesIO(write_pages(pages))
    offsets = list_tiff_pages(file)
    assert len(offsets) == 3
    for number, offset in enumerate(offsets):
        alone = extract_tiff_page(file, offset)
        assert len(alone) < len(file.getvalue()) / 2
        whole = decode_tiff(file.getvalue(), MOST, number)
        assert decode_tiff(alone, MOST).tobytes() == whole.tobytes()


def test_a_page_of_too_many_bytes_is_refused() -> None:
    file = io.BytesIO(TiffFile(samples=integers(8, 1), bits=8).write())
    with pytest.raises(ImageRefused, match="a page of"):
        extract_tiff_page(file, list_tiff_pages(file)[0], most_bytes=1000)


def test_broken_files_are_refused_and_nothing_else_is_raised() -> None:
    chance = random.Random(7)
    files = [
        TiffFile(samples=integers(bits, 3), bits=bits, photometric=RGB, tile=tile, planar=planar, big=big,
                 compression=code, compress=compress).write()
        for bits, tile, planar, big, (code, compress) in product(
            (8, 12, 16), (0, 16), (False, True), (False, True), [(1, bytes), *BYTE_CODECS.items()]
        )
    ]  # fmt: skip
    refused = 0
    for _ in range(300):
        data = break_bytes(chance.choice(files), chance)
        try:
            decode_tiff_rows(data, 1_000_000)
            for offset in list_tiff_pages(io.BytesIO(data), 10):
                extract_tiff_page(io.BytesIO(data), offset)
        except ImageRefused:
            refused += 1
    assert refused > 30


def break_bytes(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    big = data[2:4] == b"+\0"
    directory = struct.unpack_from("<Q" if big else "<I", data, 8 if big else 4)[0]
    for _ in range(chance.choice((1, 2, 5))):
        at = min(len(broken) - 4, directory + chance.randrange(320)) if chance.random() < 0.7 else chance.randrange(9)
        broken[at : at + chance.choice((1, 4))] = chance.randbytes(chance.choice((1, 4, 0)))
    return bytes(broken)


def test_an_image_of_the_decoder_is_a_loaded_one() -> None:
    image = decode_tiff(TiffFile(samples=integers(12, 1), bits=12).write(), MOST)
    assert isinstance(image, Image.Image) and image.format == "TIFF"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [False, True])
def test_a_file_that_is_cut_off_shows_what_is_there_or_nothing(bits: int, planar: bool) -> None:
    values = integers(bits, 3)
    file = TiffFile(samples=values, bits=bits, photometric=RGB, planar=planar, strip_rows=1)
    data = write_first_directory(file)
    partly = decode_image(data[: -3 * WIDE * bits // 8]) if not planar else decode_image(data[: -WIDE * bits // 8])
    assert "% of it can be decoded" in partly.damage
    assert_near(np.asarray(partly.pixels).astype(float)[:-3], bytes_of(values, bits)[:-3])
    with pytest.raises(ImageRefused, match="at least 90% must be there"):
        decode_image(data[: -len(data) // 2])


def write_first_directory(file: TiffFile) -> bytes:
    """The file with its strips behind its directory, as many programs write it."""
    data = file.write()
    page = io.BytesIO(data)
    return extract_tiff_page(page, list_tiff_pages(page)[0])


@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_of_24_bits_are_those_of_32_cut_short(order: str) -> None:
    shades = draw_gradient(HIGH, WIDE, 1) * 0.99 + 0.01
    bits = shades.astype(np.float32).view(np.uint32).astype(np.int64)
    short = (bits >> 23 & 255) - 64 << 16 | bits >> 7 & 0xFFFF  # 7 bits of exponent, 16 of fraction
    data = bytearray(TiffFile(samples=short, bits=24, order=order).write())
    at = data.index(struct.pack(f"{order}HHI", 339, 3, 1))
    struct.pack_into(f"{order}H", data, at + 8, 3)  # floats
    assert_near(np.asarray(decode_tiff(bytes(data), MOST)).astype(float)[:, :, None], np.rint(shades * 255))
