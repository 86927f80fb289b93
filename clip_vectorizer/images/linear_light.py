"""CIELab and HDR to sRGB by arithmetic in linear light, where LittleCMS is inexact or has no answer."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.images.icc import BT709, D50_XYZ, D65, PRIMARIES, Matrix, adapt_to_d50, solve_matrix

Levels = npt.NDArray[np.uint8]
Light = npt.NDArray[np.float32]

PART_PIXELS = 65_536  # converted at a time: a few megabytes of float32
ENCODING_STEPS = 16_384  # of the table from light to sRGB: 0.2 levels where it is steepest
CIELAB_EDGE = 6 / 29  # of the cube root, which is a line below: CIE 15, 8.2.1
BT2020_CODE, PQ, HLG = 9, 16, 18  # ITU-T H.273
HDR_TRANSFERS = (PQ, HLG)
REFERENCE_WHITE, PEAK = 203.0, 1000.0  # cd/m2: ITU-R BT.2408, of an SDR white in HDR, and of a nominal HLG display
PQ_PEAK = 10_000.0  # cd/m2
KAPPA = 0.65  # where the control point of the curve for highlights lies: SMPTE ST 2094-50, annex C
HLG_SYSTEM_GAMMA = 1.2  # of that display: ITU-R BT.2100, table 5


def convert_lab(colours: Image.Image) -> Image.Image:
    """CIELab of D50 to sRGB. LittleCMS would be either up to 40 levels off or half a second slow a megapixel."""
    return convert_parts(colours, lab_to_srgb)


def convert_hdr(primaries: int, transfer: int, peak: float, colours: Image.Image) -> Image.Image:
    """PQ or HLG with primaries of H.273 to sRGB, as Chromium 156 shows it on an SDR display."""
    rgb = colours if colours.mode == "RGB" else colours.convert("RGB")
    return convert_parts(rgb, lambda levels_n3: hdr_to_srgb(levels_n3, primaries, transfer, peak))


def convert_parts(colours: Image.Image, convert: Callable[[Levels], Levels]) -> Image.Image:
    """By bands, not as one array: numpy would get a and b of CIELab with a sign."""
    pixels = np.stack([np.asarray(band).ravel() for band in colours.split()], axis=-1)
    parts = [convert(pixels[start : start + PART_PIXELS]) for start in range(0, len(pixels), PART_PIXELS)]
    return Image.fromarray(np.concatenate(parts).reshape(colours.height, colours.width, 3))


def lab_to_srgb(lab_n3: Levels) -> Levels:
    """(N, 3) levels in, a and b from 0 with 128 for neutral; (N, 3) levels out."""
    lightness, a, b = lab_n3.T.astype(np.float32)
    middle = (lightness * np.float32(100 / 255) + 16) / 116
    cones = np.stack([middle + (a - 128) / 500, middle, middle - (b - 128) / 200])
    return encode_srgb(
        from_d50_white() @ np.where(cones > CIELAB_EDGE, cones**3, (cones - 4 / 29) * (3 * CIELAB_EDGE**2))
    )


@lru_cache(maxsize=1)
def from_d50_white() -> Light:
    """(3, 3): X, Y, Z of D50, each divided by white's, to linear red, green and blue."""
    matrix = np.linalg.inv(adapt_to_d50(solve_matrix(BT709), D65)) @ np.diag(D50_XYZ)
    return matrix.astype(np.float32)


def hdr_to_srgb(levels_n3: Levels, primaries: int, transfer: int, peak: float = PEAK) -> Levels:
    """(N, 3) levels in and out; `peak` in cd/m2. The brightest channel in BT.2020 sets how much a pixel is darkened."""
    light = decode_table(transfer)[levels_n3].T
    if transfer == HLG:
        luminance = solve_matrix(PRIMARIES[primaries])[1].astype(np.float32) @ light
        light = light * (PEAK / REFERENCE_WHITE * luminance ** (HLG_SYSTEM_GAMMA - 1))
    light = change_primaries(primaries, BT2020_CODE) @ light
    brightest = np.maximum(light.max(axis=0), 1e-6)
    return encode_srgb(change_primaries(BT2020_CODE, 1) @ (light * (compress_highlights(brightest, peak) / brightest)))


@lru_cache(maxsize=len(HDR_TRANSFERS))
def decode_table(transfer: int) -> Light:
    """(256,): light for a level; PQ's is 1 at the reference white, HLG's, of the scene, 1 at its peak."""
    signal = np.linspace(0, 1, 256)
    return (decode_pq(signal) if transfer == PQ else decode_hlg(signal)).astype(np.float32)


def decode_pq(signal: Matrix) -> Matrix:
    """SMPTE ST 2084."""
    root = signal ** (1 / 78.84375)
    light = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return PQ_PEAK / REFERENCE_WHITE * light ** (1 / 0.1593017578125)


def decode_hlg(signal: Matrix) -> Matrix:
    """ARIB STD-B67."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def compress_highlights(light: Light, peak: float) -> Light:
    """Light, 1 at the reference white, to 0..1: darkened up to there, then a quadratic Bezier curve to white at `peak`.

    SMPTE ST 2094-50's tone mapping by reference white: the knee halves for a peak of 1,000 cd/m2 and more.
    """
    top = max(1.0, peak / REFERENCE_WHITE)
    knee = 1 - 0.5 * min(1.0, math.log(top) / math.log(PEAK / REFERENCE_WHITE))
    bend_x, bend_y = 1 + KAPPA * (1 / knee - 1), knee + KAPPA * (1 - knee)  # the curve's middle control point
    line, square = 2 * (bend_x - 1), 1 - 2 * bend_x + top  # x(t) = 1 + line t + square t^2
    t = solve_quadratic(np.clip(light - 1, 0, top - 1), line, square)
    curve = knee * (1 - t) ** 2 + 2 * bend_y * t * (1 - t) + t**2
    return np.where(light <= 1, light * knee, curve)


def solve_quadratic(value: Light, line: float, square: float) -> Light:
    """The t of 0..1 with square t^2 + line t = value; 1 where both are 0."""
    root = line + np.sqrt(np.maximum(line**2 + 4 * square * value, 0))
    t: Light = np.divide(2 * value, root, out=np.ones_like(value), where=root > 0)
    return t


@lru_cache(maxsize=16)
def change_primaries(source: int, target: int) -> Light:
    """(3, 3): linear light of one set of H.273 to that of another."""
    matrix = np.linalg.inv(solve_matrix(PRIMARIES[target])) @ solve_matrix(PRIMARIES[source])
    return matrix.astype(np.float32)


def encode_srgb(light_3n: Light) -> Levels:
    """(3, N) light to (N, 3) levels."""
    levels_3n: Levels = encode_table()[np.rint(np.clip(light_3n, 0, 1) * (ENCODING_STEPS - 1)).astype(np.int16)]
    return levels_3n.T


@lru_cache(maxsize=1)
def encode_table() -> Levels:
    light = np.linspace(0, 1, ENCODING_STEPS)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    table: Levels = np.rint(255 * encoded).astype(np.uint8)
    return table
