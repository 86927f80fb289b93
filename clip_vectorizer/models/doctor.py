"""What this machine offers to a model, and how fast a model runs on it."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from PIL import Image, features

from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.placement import fast_bf16

DECODERS = ("jpg", "zlib", "webp", "avif", "libtiff")
TEXT, IMAGE_SIZE = "a photograph of a red apple on a wooden table", (640, 480)


def machine() -> Iterator[str]:
    """A line a fact."""
    yield f"python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}"
    yield f"cpu: {os.cpu_count()} cores, {torch.get_num_threads()} torch threads"
    yield f"bf16: {'in hardware' if fast_bf16() else 'emulated, use fp32'}"
    devices = [torch.cuda.get_device_name(each) for each in range(torch.cuda.device_count())]
    yield f"cuda: {', '.join(devices) or 'none'}"
    yield "decoders: " + ", ".join(f"{name} {version(name)}" for name in DECODERS)


def version(decoder: str) -> str:
    return (features.version(decoder) or "yes") if features.check(decoder) else "missing"


def rates(encoder: Encoder, batch: int, seconds: float) -> Iterator[str]:
    """Items a second of each step, alone and in batches."""
    info, image = encoder.info, Image.effect_noise(IMAGE_SIZE, 50).convert("RGB")
    text, pixels = encoder.prepare_text(TEXT), encoder.prepare_image(image)
    yield f"model: {info.model} on {info.device}, {info.precision}, {info.dimension} dimensions, {info.image_size} px"
    wide, high = IMAGE_SIZE
    yield f"resize {wide} x {high}: {rate(partial(encoder.prepare_image, image), seconds):.0f} images/s on one thread"
    for size in sorted({1, batch}):
        texts = size * rate(partial(encoder.encode_texts, [text] * size), seconds)
        images = size * rate(partial(encoder.encode_images, [pixels] * size), seconds)
        yield f"batch of {size}: {texts:.0f} texts/s, {images:.0f} images/s"


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls a second, after one to warm up."""
    call()
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not count:
        call()
        count += 1
    return count / elapsed
