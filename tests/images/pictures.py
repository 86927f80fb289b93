"""The pictures of the corpus, as arrays: smooth, so that lossy formats keep them, and no two corners alike."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.images.case import Rgb

WIDTH, HEIGHT = 64, 48
TALL = (64, 320)  # a cut of 5 % is more than one row of blocks


def picture(width: int = WIDTH, height: int = HEIGHT) -> Rgb:
    """(height, width, 3): red grows to the right, green downwards, blue along the diagonal, one light corner."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    light = 60 * np.exp(-((x * 2.5) ** 2 + (y * 2.5) ** 2))
    planes = [30 + 170 * x + light, 40 + 150 * y + light, 60 + 110 * (x * (1 - y)) + light]
    return np.rint(np.clip(np.stack(planes, axis=-1), 0, 255)).astype(np.uint8)


def grey_picture(width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.uint8]:
    """(height, width): the green of `picture`."""
    return np.ascontiguousarray(picture(width, height)[..., 1])


def alpha_ramp(width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.uint8]:
    """(height, width): transparent on the left, opaque on the right."""
    return np.tile(np.rint(np.linspace(0, 255, width)).astype(np.uint8), (height, 1))


def on_white(pixels: Rgb, alpha: npt.NDArray[np.uint8]) -> Rgb:
    """`pixels` laid on white by their `alpha`, (H, W, 3) and (H, W)."""
    share = alpha[..., None].astype(np.float64) / 255
    return np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)


def three(grey: npt.NDArray[np.uint8]) -> Rgb:
    """(H, W) as (H, W, 3)."""
    return np.repeat(grey[..., None], 3, axis=-1)


def write(pixels: npt.NDArray[np.uint8], kind: str, mode: str | None = None, **options: object) -> bytes:
    """`pixels` as a file that Pillow writes; `mode` is for four channels that are no RGBA."""
    file = io.BytesIO()
    height, width = pixels.shape[:2]
    mode = mode or {2: "L", 3: "RGB"}[pixels.ndim]
    image = Image.frombytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())
    image.save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


def jpeg(pixels: npt.NDArray[np.uint8], mode: str | None = None, **options: object) -> bytes:
    """A JPEG that is within a grey level of `pixels`."""
    return write(pixels, "JPEG", mode, **{"quality": 97, "subsampling": 0, **options})
