"""ICC profiles of a matrix and one curve, built for colours that a file describes without a profile.

A PNG's cICP, gAMA and cHRM, an AVIF's `nclx` and a BMP's calibrated RGB become such profiles, so that one engine
converts everything. The destination, sRGB, is built here too: LittleCMS' own is of version 4, for which it compensates
the black point of perceptual intents, which browsers do not.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Chromaticity = tuple[float, float]  # x, y

D50_XYZ = (0.9642, 1.0, 0.8249)  # white of the profile connection space, ICC.1:2022, 7.2.16
D65: Chromaticity = (0.3127, 0.329)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
HEADER_BYTES, TAG_BYTES = 128, 12
VERSION_2 = 0x02400000
CURVE_POINTS = 4096


@dataclass(frozen=True, slots=True)
class RgbPrimaries:
    red: Chromaticity
    green: Chromaticity
    blue: Chromaticity
    white: Chromaticity = D65


@dataclass(frozen=True, slots=True)
class ToneCurve:
    """Light of a signal of 0..1: a parametric curve of ICC.1:2022, 10.18, or `points`, evenly spaced."""

    gamma: float = 1.0
    linear: tuple[float, float, float, float] | None = None  # a, b, c, d: (a x + b) ** gamma from d on, c x below
    points: tuple[float, ...] = ()


SRGB_CURVE = ToneCurve(2.4, (1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
BT1886_CURVE = ToneCurve(2.4)  # what a display makes of video of BT.709, BT.601 and BT.2020
SMPTE240_CURVE = ToneCurve(1 / 0.45, (1 / 1.1115, 0.1115 / 1.1115, 1 / 4.0, 0.0913))
BT709 = RgbPrimaries((0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
BT601_525 = RgbPrimaries((0.63, 0.34), (0.31, 0.595), (0.155, 0.07))
DCI_RED, DCI_GREEN, DCI_BLUE = (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)

# ITU-T H.273, tables 2 and 3: what cICP and `nclx` have in common.
PRIMARIES: dict[int, RgbPrimaries] = {
    1: BT709,
    4: RgbPrimaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.31, 0.316)),
    5: RgbPrimaries((0.64, 0.33), (0.29, 0.6), (0.15, 0.06)),
    6: BT601_525,
    7: BT601_525,
    8: RgbPrimaries((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), (0.31, 0.316)),
    9: RgbPrimaries((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),
    10: RgbPrimaries((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: RgbPrimaries(DCI_RED, DCI_GREEN, DCI_BLUE, (0.314, 0.351)),
    12: RgbPrimaries(DCI_RED, DCI_GREEN, DCI_BLUE),
    22: RgbPrimaries((0.63, 0.34), (0.295, 0.605), (0.155, 0.077)),
}


def sample_curve(light: Matrix) -> ToneCurve:
    return ToneCurve(points=tuple(np.clip(light, 0, 1).tolist()))


SIGNAL: Matrix = np.linspace(0, 1, CURVE_POINTS)
CURVES: dict[int, ToneCurve] = {
    1: BT1886_CURVE,
    4: ToneCurve(2.2),
    5: ToneCurve(2.8),
    6: BT1886_CURVE,
    7: SMPTE240_CURVE,
    8: ToneCurve(1.0),
    13: SRGB_CURVE,
    14: BT1886_CURVE,
    15: BT1886_CURVE,
    17: sample_curve(52.37 / 48 * SIGNAL**2.6),  # SMPTE ST 428-1
}


@lru_cache(maxsize=64)
def build_rgb_profile(name: str, primaries: RgbPrimaries, curves: tuple[ToneCurve, ...]) -> bytes:
    """The bytes of an RGB profile of version 2; one curve for all channels, or three.

    Raises ValueError where the primaries are on one line, or the white has no light.
    """
    columns = adapt_to_d50(solve_matrix(primaries), primaries.white).T
    matrix = {f"{channel}XYZ": encode_xyz(column) for channel, column in zip("rgb", columns, strict=True)}
    tones = {f"{channel}TRC": encode_curve(curves[place % len(curves)]) for place, channel in enumerate("rgb")}
    return build_profile(b"RGB ", {"desc": encode_name(name), "wtpt": encode_xyz(D50_XYZ), **matrix, **tones})


def solve_matrix(primaries: RgbPrimaries) -> Matrix:
    """(3, 3): linear RGB to XYZ, white at Y = 1. Raises ValueError."""
    colours = np.array([to_xyz(point) for point in (primaries.red, primaries.green, primaries.blue)]).T
    try:
        return np.asarray(colours * np.linalg.solve(colours, to_xyz(primaries.white)))
    except np.linalg.LinAlgError as error:
        raise ValueError("its primaries are on one line") from error


def to_xyz(point: Chromaticity) -> tuple[float, float, float]:
    """X, Y, Z, divided by Y where it has any."""
    x, y = point
    scale = y or 1.0
    return (x / scale, y / scale, (1 - x - y) / scale)


def adapt_to_d50(matrix: Matrix, white: Chromaticity) -> Matrix:
    """The matrix with its white moved to D50 by Bradford's cone responses. Raises ValueError."""
    source, target = BRADFORD @ to_xyz(white), BRADFORD @ D50_XYZ
    if not (source > 0).all():
        raise ValueError("its white is no colour of light")
    return np.asarray(np.linalg.inv(BRADFORD) @ np.diag(target / source) @ BRADFORD @ matrix)


def build_profile(space: bytes, tags: dict[str, bytes]) -> bytes:
    """Header, table of tags and their bodies."""
    start = HEADER_BYTES + 4 + TAG_BYTES * len(tags)
    table, bodies = struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        table += struct.pack(">4sII", name.encode(), start + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    header = struct.pack(
        ">I4xI4s4s4s12x4s28x3i48x",
        start + len(bodies),
        VERSION_2,
        b"mntr",
        space,
        b"XYZ ",
        b"acsp",
        *map(to_fixed, D50_XYZ),
    )
    return header + table + bodies


def to_fixed(value: float) -> int:
    """s15Fixed16Number. Raises ValueError outside its range."""
    fixed = round(value * 65536)
    if not -(2**31) <= fixed < 2**31:
        raise ValueError(f"{value:g} does not fit into a profile")
    return fixed


def encode_xyz(xyz: Sequence[float] | Matrix) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *(to_fixed(float(value)) for value in xyz))


def encode_curve(curve: ToneCurve) -> bytes:
    if curve.points:
        levels = np.rint(np.asarray(curve.points) * 65535).astype(">u2")
        body: bytes = levels.tobytes()
        return struct.pack(">4s4xI", b"curv", len(levels)) + body
    parameters = (curve.gamma, *(curve.linear or ()))
    kind = 3 if curve.linear else 0
    return struct.pack(f">4s4xHxx{len(parameters)}i", b"para", kind, *map(to_fixed, parameters))


def encode_name(name: str) -> bytes:
    """`textDescriptionType` of version 2: ASCII, then empty Unicode and Macintosh names."""
    text = name.encode("ascii", "replace") + b"\0"
    return struct.pack(">4s4xI", b"desc", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)
