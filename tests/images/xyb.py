"""jpegli's colour space, scaled XYB: its profile, of tables alone, and pixels in it (libjxl, lib/jxl/cms)."""

import struct
from itertools import product

import numpy as np

from tests.images.case import Rgb
from tests.images.profiles import SRGB, Floats, fixed, profile, srgb_decode

OFFSET, SCALE = (0.015386134, 0.0, 0.27770459), (22.995788804, 1.183000077, 1.502141333)
# Half of XYZ under D50, which is how `lutAToBType` stores it, from the light that three cones absorb.
CONES_TO_XYZ = np.array(
    [[1.5170095, -1.1065225, 0.071623], [-0.050022, 0.5683655, -0.018344], [-1.387676, 1.1145555, 0.6857255]]
)
BIAS = 0.0037930732552754493
MIX = ((0, 1), (1, 0), (1, 2))  # Y + X, Y - X and B + Y, as channels


def curve(*parameters: float) -> bytes:
    """A parametric curve of type 0 or 3."""
    kind = 3 if len(parameters) > 1 else 0
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(fixed(value) for value in parameters)


def xyb_profile() -> bytes:
    """`lutAToBType`: a grid of 2 x 2 x 2 that undoes the mixing, cubes, and the matrix of the cones."""
    offsets = (OFFSET[0] + OFFSET[1], OFFSET[1] - OFFSET[0] + 1 / SCALE[0], OFFSET[1] + OFFSET[2])
    scales = [1 / (1 / SCALE[one] + 1 / SCALE[other]) for one, other in MIX]
    x, y, b = (np.array((0.0, 1.0)) / scale - offset for scale, offset in zip(SCALE, OFFSET, strict=True))
    corners = np.array([(iy + ix, iy - ix, ib + iy) for ix, iy, ib in product(x, y, b)])
    grid = np.rint(65535 * np.clip((corners + offsets) * scales, 0, 1)).astype(">u2").tobytes()
    shifts = [np.cbrt(BIAS) - offset for offset in offsets]
    cubes = [
        curve(3, 1 / scale, shift, 0, max(0.0, -shift * scale)) for scale, shift in zip(scales, shifts, strict=True)
    ]
    matrix = [*CONES_TO_XYZ.ravel(), *(-BIAS * CONES_TO_XYZ.sum(axis=1))]
    table = b"mAB \0\0\0\0" + bytes((3, 3, 0, 0)) + struct.pack(">5I", 32, 244, 148, 80, 32)
    table += curve(1.0) * 3 + bytes((2, 2, 2)).ljust(16, b"\0") + bytes((2, 0, 0, 0)) + grid
    table += b"".join(cubes) + b"".join(fixed(float(value)) for value in matrix)
    return profile(b"RGB ", {b"A2B0": table}, version=4, kind=b"scnr")


def to_xyb(srgb: Rgb) -> Rgb:
    """(..., 3) levels of sRGB to (..., 3) levels of scaled XYB."""
    light: Floats = srgb_decode(srgb / 255.0) @ SRGB.T
    cones = np.cbrt(np.maximum(light / 2 @ np.linalg.inv(CONES_TO_XYZ).T + BIAS, 0)) - np.cbrt(BIAS)
    long, middle, short = np.moveaxis(cones, -1, 0)
    bright = (long + middle) / 2
    scaled = (np.stack([(long - middle) / 2, bright, short - bright], axis=-1) + OFFSET) * SCALE
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
