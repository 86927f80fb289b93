"""From a JPEG file's bytes to the model's square of bytes: how fast, and how near to Pillow's own.

Theirs is what CLIP's own transform does with Pillow: all pixels decoded, turned upright, shrunk by bicubic, cropped.
One thread, both sides in turns. Nearness is the cosine between the two paths' vectors, and the pixels' grey levels.
"""

import io
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image, ImageOps

from benchmarks.common import Report, add_json_option, side_by_side
from benchmarks.photographs import make_photographs, read_files
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.server.decode import decode_pixels
from clip_vectorizer.vectors import Pixels

CLAIM = "a 12-megapixel JPEG is decoded and preprocessed >= 3 times faster than by Pillow, at cosine >= 0.999"
SIZES = {(640, 480): 8, (2400, 1800): 4, (4000, 3000): 4}  # width and height; photographs
MODELS = ("ViT-B-32::random", "emoji")  # the first is timed; the second is trained, and more sensitive
AT_LEAST_SECONDS = 0.15  # of one side of one round
ANY_SIZE = DecodeSettings(max_pixels=10**9)
NEAR_PIXEL = 0.999


@dataclass(slots=True)
class Nearness:
    """Of our pixels to Pillow's, one entry a photograph."""

    cosines: list[float] = field(default_factory=list)
    mean_levels: list[float] = field(default_factory=list)
    most_levels: list[float] = field(default_factory=list)


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Compare the vectors of the JPEG files in this folder too.",
)
@add_json_option
def main(rounds: int, photos: Path | None, json_file: Path | None) -> None:
    """Measure decoding and preprocessing against Pillow's.

    \b
    Example:
      python benchmarks/decode.py --photos ~/Pictures
    """
    report = Report(CLAIM)
    report.begin()
    encoders = [load_encoder(ModelName(model), Placement()) for model in MODELS]
    for size, count in SIZES.items():
        compare_decoders(
            report, f"{size[0]} x {size[1]}, made here", make_photographs(count, size=size), encoders, rounds
        )
    if photos:
        files = [data for data in read_files(photos) if data.startswith(b"\xff\xd8")]
        large = [data for data in files if count_megapixels(data) >= 11_500_000]
        if large:
            compare_decoders(report, f"{len(large)} real photographs of 12 megapixels or more", large, encoders, 1)
        for encoder in encoders:
            print_nearness(report, f"{len(files)} real photographs", encoder, files)
    report.write(json_file)


def compare_decoders(
    report: Report, what: str, files: Sequence[bytes], encoders: Sequence[Encoder], rounds: int
) -> None:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        theirs.append(measure_rate(lambda data: decode_by_pillow(data, encoders[0].info.image_size), files))
        ours.append(measure_rate(lambda data: decode_pixels(encoders[0], data, ANY_SIZE), files))
    target = ">= 3" if "4000" in what else ""
    size = sum(map(len, files)) / len(files) / 1000
    report.add(side_by_side(f"{what} ({size:.0f} kB)", "images/s", theirs, ours, "by Pillow", target))
    for encoder in encoders:
        print_nearness(report, what, encoder, files)


def measure_rate(work: Callable[[bytes], Pixels], files: Sequence[bytes]) -> float:
    """Images a second: the median over single images, each as often as the time allows."""
    seconds: list[float] = []
    while sum(seconds) < AT_LEAST_SECONDS or len(seconds) < len(files):
        start = time.perf_counter()
        work(files[len(seconds) % len(files)])
        seconds.append(time.perf_counter() - start)
    return 1 / statistics.median(seconds)


def decode_by_pillow(data: bytes, size: int) -> Pixels:
    """(S, S, 3) uint8."""
    with Image.open(io.BytesIO(data)) as file:
        image = ImageOps.exif_transpose(file).convert("RGB")
    shortest = min(image.size)
    wide, high = (int(size / shortest * side) if side != shortest else size for side in image.size)
    pixels = np.asarray(image.resize((wide, high), Image.Resampling.BICUBIC))
    top, left = round((high - size) / 2), round((wide - size) / 2)
    return pixels[top : top + size, left : left + size]


def print_nearness(report: Report, what: str, encoder: Encoder, files: Iterable[bytes]) -> None:
    near = measure_nearness(encoder, files)
    cosines = np.array(near.cosines)
    report.note(
        f"{what}, {encoder.info.model}, to Pillow's: cosine mean {cosines.mean():.6f}, least {cosines.min():.6f}, "
        f"{(cosines >= NEAR_PIXEL).sum()} of {len(cosines)} >= {NEAR_PIXEL}; "
        f"grey levels of 255: mean {np.mean(near.mean_levels):.2f}, most {max(near.most_levels):.0f}"
    )


def measure_nearness(encoder: Encoder, files: Iterable[bytes]) -> Nearness:
    result = Nearness()
    for data in files:
        theirs, ours = decode_by_pillow(data, encoder.info.image_size), decode_pixels(encoder, data, ANY_SIZE)
        levels = np.abs(theirs.astype(int) - ours)
        one, other = encoder.encode_images([theirs, ours])
        result.cosines.append(float(one @ other))
        result.mean_levels.append(float(levels.mean()))
        result.most_levels.append(float(levels.max()))
    return result


def count_megapixels(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return image.width * image.height


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
