"""What this machine offers to a model, how fast a model runs on it, and what to change if that is slow."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import wrap

import torch
from PIL import Image

from clip_vectorizer.models.encoder import Encoder, ModelInfo
from clip_vectorizer.models.machine import GIB, INSTRUCTIONS, Machine

TEXT, SMALL, LARGE = "a photograph of a red apple on a wooden table", (640, 480), (4000, 3000)
SLOW = 200  # images a second below which a model is worth another precision: 1,000,000 take over an hour
LABEL, WIDTH = 13, 80  # columns


@dataclass(frozen=True, slots=True)
class Load:
    batch: int  # items in one pass, beside 1
    seconds: float  # of each measurement


def facts(machine: Machine) -> Iterator[str]:
    """What will be used, in lines of 80 columns."""
    yield from fact("software", machine.software)
    yield from fact("processor", f"{machine.processor}, {cores(machine)}")
    yield from fact("instructions", instructions(machine))
    yield from fact("gpu", "; ".join(gpus(machine)))
    yield from fact("decoders", ", ".join(machine.decoders))
    library = f"libjpeg-turbo {machine.jpeg}" if machine.jpeg else "plain libjpeg, without SIMD"
    yield from fact("jpeg", f"{library}; large pictures are decoded at 1/2, 1/4 or 1/8 of their size")


def cores(machine: Machine) -> str:
    if machine.usable_cores == machine.installed_cores:
        return f"{machine.installed_cores} cores"
    limits = [f"{machine.allowed_cores} allowed"] if machine.allowed_cores < machine.installed_cores else []
    limits += [f"a quota of {machine.quota_cores:g}"] if machine.quota_cores is not None else []
    return f"{machine.usable_cores} of {machine.installed_cores} cores usable ({', '.join(limits)})"


def instructions(machine: Machine) -> str:
    names = [INSTRUCTIONS[each][0] for each in machine.instructions]
    fast = [precision for precision in ("bf16", "int8") if machine.favours(precision)]
    return f"{', '.join(names) or 'none known'}: {' and '.join(fast) or 'no precision but fp32'} in hardware"


def gpus(machine: Machine) -> Iterator[str]:
    if not machine.gpus:
        build = f"CUDA {machine.cuda_build}" if machine.cuda_build else "CPUs"
        yield f"none found by torch, which is built for {build}"
    for number, gpu in enumerate(machine.gpus):
        memory = f"{gpu.free_bytes / GIB:.1f} of {gpu.total_bytes / GIB:.1f} GiB free"
        yield f"cuda:{number} {gpu.name}, {memory}, {'bf16 in hardware' if gpu.bf16 else 'no bf16'}"


def examined(
    machine: Machine, encoder: Encoder, read: Callable[[bytes], object], load: Load, precisions: Sequence[str]
) -> Iterator[str]:
    """Items a second of each step, and the verdict. `read`: a file's bytes to the encoder's pixels."""
    info, image = encoder.info, picture(SMALL)
    threads = torch.get_num_threads()
    place = f"on {info.device}, {info.precision}, {threads} {'thread' if threads == 1 else 'threads'} a pass"
    yield from fact("model", f"{info.model} {place}, {info.dimension} dimensions, {info.image_size} px")
    for size in (SMALL, LARGE):
        files = rate(partial(read, jpeg(size)), load.seconds)
        yield from fact("read", f"JPEG of {size[0]} x {size[1]}: {files:.0f} images/s on one thread")
    text, pixels = encoder.prepare_text(TEXT), encoder.prepare_image(image)
    images = 0.0
    for count in sorted({1, load.batch}):
        texts = count * rate(partial(encoder.encode_texts, [text] * count), load.seconds)
        images = count * rate(partial(encoder.encode_images, [pixels] * count), load.seconds)
        yield from fact(f"batch of {count}", f"{texts:.0f} texts/s, {images:.0f} images/s")
    yield from verdict(machine, info, precisions, images)


def jpeg(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    picture(size).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def picture(size: tuple[int, int]) -> Image.Image:
    """Shades with some noise: about as many bytes a pixel as a photograph."""
    shades = Image.radial_gradient("L").resize(size)
    return Image.blend(shades, Image.effect_noise(size, 40), 0.3).convert("RGB")


def verdict(machine: Machine, info: ModelInfo, precisions: Sequence[str], images: float) -> list[str]:
    """The first thing that holds this model up, with the way out.

    `precisions`: those that can be asked for; `images` a second, in batches.
    """
    return fact("verdict", next(hindrances(machine, info, precisions, images), "nothing here holds this model up"))


def hindrances(machine: Machine, info: ModelInfo, precisions: Sequence[str], images: float) -> Iterator[str]:
    """What costs most first."""
    on_cpu = info.device.startswith("cpu")
    if on_cpu and machine.gpus:
        yield "a GPU stands idle: serve with --device cuda --precision bf16"
    if not on_cpu and info.precision == "fp32" and any(gpu.bf16 for gpu in machine.gpus):
        yield "the GPU computes fp32: --precision bf16 is several times faster"
    threads, usable = torch.get_num_threads(), machine.usable_cores
    if on_cpu and threads > usable:
        yield f"{threads} threads on {usable} usable cores wait for each other: --threads {usable}"
    if on_cpu and info.precision == "bf16" and not machine.favours("bf16"):
        yield "this processor emulates bf16: --precision fp32 is faster"
    if on_cpu and info.precision == "fp32" and images < SLOW:
        yield from ways_to_hardware(machine, precisions)
    if not machine.jpeg:
        yield "JPEGs are decoded without SIMD: install Pillow from its wheel (pip install --force-reinstall pillow)"
    missing = [each.split()[0] for each in machine.decoders if each.endswith("missing")]
    if missing:
        yield f"no {' and no '.join(missing)} files can be read: install Pillow from its wheel"


def ways_to_hardware(machine: Machine, precisions: Sequence[str]) -> Iterator[str]:
    """A large model in fp32 leaves the processor's units for smaller numbers unused."""
    fast = [each for each in precisions if machine.favours(each)]
    if fast:
        yield f"fp32 is the exact choice; for speed this processor has {' and '.join(fast)}: try --precision {fast[0]}"


def fact(label: str, text: str) -> list[str]:
    """`label` and `text` in columns, no line beyond 80 unless a word alone is."""
    lines = wrap(text, WIDTH - LABEL - 1, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{label if not number else '':{LABEL}} {line}".rstrip() for number, line in enumerate(lines)]


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls a second, after one to warm up."""
    call()
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not count:
        call()
        count += 1
    return count / elapsed
