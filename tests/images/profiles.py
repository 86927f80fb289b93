"""ICC profiles written by code, and the same conversions in plain arithmetic: the truth does not come from a library.

Layout: ICC.1:2022, https://www.color.org/specification/ICC.1-2022-05.pdf
"""

import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tests.images.case import Rgb

Floats = npt.NDArray[np.float64]
Curve = Callable[[Floats], Floats]

D50 = np.array([0.9642, 1.0, 0.8249])
D65_XY = (0.3127, 0.3290)
D50_XY = (0.3457, 0.3585)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
SRGB_XY = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3_XY = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
ADOBE_XY = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
PROPHOTO_XY = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))
REC2020_XY = ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046))
Primaries = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


def srgb_decode(values: Floats) -> Floats:
    """sRGB's curve, 0-1 to linear light (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_encode(linear: Floats) -> Rgb:
    """Linear light, clipped to 0-1, to 8 bits of sRGB."""
    clipped = np.clip(linear, 0, 1)
    values = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.rint(values * 255).astype(np.uint8)


def gamma(exponent: float) -> Curve:
    return lambda values: values**exponent


def to_xyz(x: float, y: float) -> Floats:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def colorants(primaries: Primaries, white: tuple[float, float] = D65_XY) -> Floats:
    """(3, 3): linear RGB to XYZ under D50, adapted by Bradford."""
    columns = np.stack([to_xyz(*primary) for primary in primaries], axis=1)
    matrix = columns * np.linalg.solve(columns, to_xyz(*white))
    scale = np.diag((BRADFORD @ D50) / (BRADFORD @ to_xyz(*white)))
    adapted: Floats = np.linalg.inv(BRADFORD) @ scale @ BRADFORD @ matrix
    return adapted


SRGB = colorants(SRGB_XY)


def xyz_to_srgb(xyz: Floats) -> Rgb:
    """(..., 3) under D50 to 8 bits of sRGB, clipped."""
    return srgb_encode(xyz @ np.linalg.inv(SRGB).T)


def convert_rgb(pixels: npt.NDArray[np.uint8], matrix: Floats, curve: Curve) -> Rgb:
    """What a matrix profile makes of `pixels`, in sRGB."""
    return xyz_to_srgb(curve(pixels / 255.0) @ matrix.T)


def lab_to_srgb(lab: Floats) -> Rgb:
    """(..., 3) CIELab under D50 to 8 bits of sRGB."""
    y = (lab[..., 0] + 16) / 116
    ratios = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    linear = np.where(ratios > 6 / 29, ratios**3, 3 * (6 / 29) ** 2 * (ratios - 4 / 29))
    return xyz_to_srgb(linear * D50)


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def xyz_tag(values: Floats) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(fixed(float(value)) for value in values)


def gamma_tag(exponent: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"


def table_tag(curve: Curve, entries: int = 1024) -> bytes:
    values = np.rint(curve(np.linspace(0, 1, entries)) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", entries) + values.tobytes()


def srgb_parametric_tag() -> bytes:
    """sRGB's curve as a parametric curve of type 3."""
    parameters = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(fixed(value) for value in parameters)


def text_tag(text: str, version: int) -> bytes:
    if version >= 4:
        encoded = text.encode("utf-16-be")
        return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded
    data = text.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(data)) + data + bytes(4 + 4 + 2 + 1 + 67)


def profile(
    space: bytes, tags: dict[bytes, bytes], *, version: int = 2, pcs: bytes = b"XYZ ", kind: bytes = b"mntr"
) -> bytes:
    """A whole profile of a colour `space` such as b"RGB "."""
    common = {b"desc": text_tag("corpus", version), b"wtpt": xyz_tag(D50)}
    common[b"cprt"] = text_tag("no copyright", version) if version >= 4 else b"text\0\0\0\0CC0\0"
    body, table, offset = b"", b"", 128 + 4 + 12 * (len(tags) + len(common))
    for name, value in (common | tags).items():
        table += struct.pack(">4sII", name, offset + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = offset + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", version << 24, kind, space, pcs)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += b"".join(fixed(float(value)) for value in D50) + bytes(48)
    return head + struct.pack(">I", len(tags) + len(common)) + table + body


def matrix_profile(matrix: Floats, curve_tag: bytes, version: int = 2) -> bytes:
    """An RGB profile of three colorants and one curve."""
    names = (b"r", b"g", b"b")
    tags = {name + b"XYZ": xyz_tag(matrix[:, index]) for index, name in enumerate(names)}
    return profile(b"RGB ", tags | {name + b"TRC": curve_tag for name in names}, version=version)


def grey_profile(exponent: float) -> bytes:
    return profile(b"GRAY", {b"kTRC": gamma_tag(exponent)})


def xyz_to_lab(xyz: Floats) -> Floats:
    """(..., 3) under D50 to CIELab."""
    ratios = xyz / D50
    f = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def lut_tag(inputs: list[Curve], grid: int, to_xyz: Curve) -> bytes:
    """A lut16 of `inputs` curves and a `grid` of CIELab values; `to_xyz` maps (N, inputs) to (N, 3)."""
    entries = 256
    axes = np.meshgrid(*[np.linspace(0, 1, grid)] * len(inputs), indexing="ij")
    lab = xyz_to_lab(to_xyz(np.stack([axis.ravel() for axis in axes], axis=-1)))
    clut = np.rint(np.clip(lab * (652.8, 256, 256) + (0, 32768, 32768), 0, 65535)).astype(">u2").tobytes()
    curves = np.stack([curve(np.linspace(0, 1, entries)) for curve in inputs])
    head = b"mft2\0\0\0\0" + bytes([len(inputs), 3, grid, 0])
    head += b"".join(fixed(value) for value in (1, 0, 0, 0, 1, 0, 0, 0, 1)) + struct.pack(">HH", entries, 2)
    return head + np.rint(curves * 65535).astype(">u2").tobytes() + clut + struct.pack(">6H", *(0, 65535) * 3)


# Linear light that a full layer of each ink lets through: cyan, magenta, yellow, black by red, green, blue.
INKS = np.array([[0.05, 0.40, 0.75], [0.60, 0.04, 0.20], [0.85, 0.70, 0.05], [0.02, 0.02, 0.02]])
CMYK_CURVE = gamma(1.2)


def inks_to_xyz(coverage: Floats) -> Floats:
    """(..., 4) coverage to (..., 3) XYZ: every layer multiplies, on a scale that is near to lightness."""
    linear = np.prod(1 - coverage[..., :, None] * (1 - INKS ** (1 / 2.4)), axis=-2) ** 2.4
    xyz: Floats = linear @ SRGB.T
    return xyz


def cmyk_profile() -> bytes:
    lut = lut_tag([CMYK_CURVE] * 4, 9, inks_to_xyz)
    return profile(b"CMYK", {b"A2B0": lut, b"A2B1": lut, b"A2B2": lut}, pcs=b"Lab ", kind=b"prtr")


def convert_cmyk(pixels: npt.NDArray[np.uint8]) -> Rgb:
    """(H, W, 4) as `cmyk_profile` has it, 255 is full ink, in sRGB."""
    return xyz_to_srgb(inks_to_xyz(CMYK_CURVE(pixels / 255.0)))


def turned_lut_profile() -> bytes:
    """An RGB profile without colorants, whose channels are green, blue and red: as far from sRGB as XYB is."""
    lut = lut_tag([gamma(1.0)] * 3, 11, lambda nodes: srgb_decode(nodes[..., [2, 0, 1]]) @ SRGB.T)
    return profile(b"RGB ", {b"A2B0": lut, b"A2B1": lut}, pcs=b"Lab ")


SRGB_PROFILE_V2 = matrix_profile(SRGB, table_tag(srgb_decode))
SRGB_PROFILE_V4 = matrix_profile(SRGB, srgb_parametric_tag(), version=4)
P3 = colorants(P3_XY)
P3_PROFILE = matrix_profile(P3, srgb_parametric_tag(), version=4)
ADOBE_GAMMA = 2.19921875
ADOBE = colorants(ADOBE_XY)
ADOBE_PROFILE = matrix_profile(ADOBE, gamma_tag(ADOBE_GAMMA))
PROPHOTO = colorants(PROPHOTO_XY, D50_XY)
PROPHOTO_PROFILE = matrix_profile(PROPHOTO, gamma_tag(1.8))
