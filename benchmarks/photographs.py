"""Pictures that cost a decoder what photographs cost it: seeded, all different, made here.

A photograph's amplitude falls as 1/f (Field 1987), and its outlines and grain fill a JPEG file. Pictures of 640 x 480
come to 60-100 KB at quality 87, as photographs do; 4000 x 3000 to 3-5 MB.

H, W height and width
"""

import functools
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SMALL, LARGE = (640, 480), (4000, 3000)  # width and height
QUALITY = 87
SIDE = 1024  # of the noise, which repeats without a seam: pictures are cuts of it
SLOPE = 1.25  # lenses soften: a little steeper than 1
OUTLINES = 12
CONTRAST, GRAIN = (15.0, 42.0), (0.0, 1.5)  # grey levels, standard deviation; each picture has its own of each range
FILES = (".jpg", ".jpeg", ".png", ".webp")


def make_photographs(count: int, first_seed: int = 0, size: tuple[int, int] = SMALL) -> list[bytes]:
    """`count` JPEG files, one a seed."""
    make_noise()  # once, before the threads
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy and Pillow let go of the interpreter
        return list(pool.map(functools.partial(make_photograph, size=size), range(first_seed, first_seed + count)))


def read_files(folder: Path) -> Iterator[bytes]:
    """The bytes of every picture under `folder`, in the order of their names. Raises FileNotFoundError for none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in FILES)
    if not paths:
        raise FileNotFoundError(f"no {', '.join(FILES)} under {folder}; name a folder of photographs with --photos")
    return (path.read_bytes() for path in paths)


def make_photograph(seed: int, size: tuple[int, int] = SMALL) -> bytes:
    """A JPEG file. Equal seeds give equal bytes."""
    rng = np.random.default_rng(seed)
    contrast, grain, tint = rng.uniform(*CONTRAST), rng.uniform(*GRAIN), rng.uniform(-14, 14, 3)
    light_hw = (
        contrast * crop_photograph(rng, size)
        + draw_outlines(rng, size)
        + grain * rng.standard_normal(size[::-1], np.float32)
    )
    hues = [contrast / 4 * crop_photograph(rng, size) for _ in range(2)]
    red, blue = light_hw + hues[0], light_hw + hues[1]
    colours = np.stack([red, light_hw - (hues[0] + hues[1]) / 4, blue], axis=-1) + tint
    return encode_jpeg(Image.fromarray(colours.clip(0, 255).astype(np.uint8)))


def encode_jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def add_comment(picture: bytes, text: bytes) -> bytes:
    """The same picture in other bytes: a comment (marker FFFE) right after the start of the image."""
    return picture[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + picture[2:]


def crop_photograph(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32 out of the noise, from anywhere, either way round."""
    rows, columns = ((rng.integers(SIDE) + rng.choice((1, -1)) * np.arange(side)) % SIDE for side in size[::-1])
    return make_noise()[np.ix_(rows, columns)]


@functools.cache
def make_noise() -> np.ndarray:
    """(SIDE, SIDE) float32, mean 0, deviation 1, amplitude 1/f."""
    rng = np.random.default_rng(0)
    across, down = np.fft.rfftfreq(SIDE), np.fft.fftfreq(SIDE)
    frequency = np.hypot(across[None], down[:, None])
    frequency[0, 0] = np.inf  # no mean
    waves = (rng.standard_normal(frequency.shape) + 1j * rng.standard_normal(frequency.shape)) / frequency**SLOPE
    field = np.fft.irfft2(waves, (SIDE, SIDE))
    result: np.ndarray = (field / field.std()).astype(np.float32)
    return result


def draw_outlines(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """(H, W) grey levels: things before a background, each of one brightness and a sharp edge."""
    picture = Image.new("L", size, int(rng.integers(90, 160)))
    draw = ImageDraw.Draw(picture)
    for _ in range(OUTLINES):
        draw.polygon(draw_corners(rng, size), fill=int(rng.integers(30, 225)))
    return np.asarray(picture, dtype=np.float32)


def draw_corners(rng: np.random.Generator, size: tuple[int, int]) -> Sequence[tuple[float, float]]:
    middle, reach = rng.uniform((0, 0), size), rng.uniform(0.05, 0.3) * max(size)
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
    return [tuple(middle + reach * np.array((np.cos(angle), np.sin(angle)))) for angle in angles]
