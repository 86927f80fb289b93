"""Report of `clip-vectorizer doctor`: hardware of this machine, speed of a model, and the first thing to change."""

import io
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import wrap

import torch
from PIL import Image, features

from clip_vectorizer.models.cores import allowed_cores, cpu_quota, usable_cores
from clip_vectorizer.models.encoder import Encoder, ModelInfo

TEXT, SMALL, LARGE = "a photograph of a red apple on a wooden table", (640, 480), (4000, 3000)
SLOW = 200  # images/s below which another precision is suggested: 1,000,000 images take over an hour
LABEL, WIDTH = 13, 80  # columns
DECODERS = ("jpg", "zlib", "webp", "avif", "libtiff")
# torch's names of CPU instructions -> the common name, and the precision that they accelerate
INSTRUCTIONS = {
    "avx2": ("AVX2", ""),
    "avx512_f": ("AVX-512", ""),
    "avx_vnni": ("AVX-VNNI", "int8"),
    "avx512_vnni": ("AVX-512 VNNI", "int8"),
    "avx512_bf16": ("AVX-512 BF16", "bf16"),
    "amx_int8": ("AMX int8", "int8"),
    "amx_bf16": ("AMX bf16", "bf16"),
    "neon": ("NEON", ""),
    "dot": ("dot product", "int8"),
    "i8mm": ("i8mm", "int8"),
    "bf16": ("BF16", "bf16"),
}
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class DoctorLoad:
    """How much is measured."""

    batch: int  # items in one pass; 1 is measured too
    seconds: float  # of each measurement


@dataclass(frozen=True, slots=True)
class Gpu:
    name: str
    free_bytes: int
    total_bytes: int
    bf16: bool


@dataclass(frozen=True, slots=True)
class Machine:
    software: str
    processor: str
    installed_cores: int
    allowed_cores: int  # by affinity
    quota_cores: float | None  # by the control group; None: no limit
    usable_cores: int
    instructions: tuple[str, ...]  # keys of INSTRUCTIONS
    gpus: tuple[Gpu, ...]
    cuda_build: str | None  # of torch
    decoders: tuple[str, ...]  # name and version, or `missing`
    jpeg: str  # version of libjpeg-turbo; empty: the slow libjpeg

    def accelerates(self, precision: str) -> bool:
        """Whether the processor has instructions for bf16 or int8."""
        return any(INSTRUCTIONS[each][1] == precision for each in self.instructions)


def inspect_machine() -> Machine:
    capabilities = torch.cpu.get_capabilities()
    return Machine(
        software=f"python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}",
        processor=read_processor_name() or str(capabilities.get("cpu_name") or "unknown"),
        installed_cores=os.cpu_count() or 1,
        allowed_cores=allowed_cores(),
        quota_cores=cpu_quota(),
        usable_cores=usable_cores(),
        instructions=tuple(each for each in INSTRUCTIONS if capabilities.get(each)),
        gpus=tuple(map(inspect_gpu, range(torch.cuda.device_count()))),
        cuda_build=torch.version.cuda,
        decoders=tuple(f"{name} {format_decoder_version(name)}" for name in DECODERS),
        jpeg=(features.version("libjpeg_turbo") or "yes") if features.check("libjpeg_turbo") else "",
    )


def read_processor_name(file: Path = Path("/proc/cpuinfo")) -> str:
    """Return the name from the kernel; empty where there is none."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def inspect_gpu(number: int) -> Gpu:
    properties = torch.cuda.get_device_properties(number)
    free, total = torch.cuda.mem_get_info(number)
    return Gpu(properties.name, free, total, bf16=properties.major >= 8)  # Ampere and later


def format_decoder_version(decoder: str) -> str:
    return (features.version(decoder) or "yes") if features.check(decoder) else "missing"


def describe_machine(machine: Machine) -> Iterator[str]:
    """Yield lines of at most 80 columns about the hardware and libraries in use."""
    yield from format_fact("software", machine.software)
    yield from format_fact("processor", f"{machine.processor}, {describe_cores(machine)}")
    yield from format_fact("instructions", describe_instructions(machine))
    yield from format_fact("gpu", "; ".join(describe_gpus(machine)))
    yield from format_fact("decoders", ", ".join(machine.decoders))
    library = f"libjpeg-turbo {machine.jpeg}" if machine.jpeg else "plain libjpeg, without SIMD"
    yield from format_fact("jpeg", f"{library}; large pictures are decoded at 1/2, 1/4 or 1/8 of their size")


def describe_cores(machine: Machine) -> str:
    if machine.usable_cores == machine.installed_cores:
        return f"{machine.installed_cores} cores"
    limits = [f"{machine.allowed_cores} allowed"] if machine.allowed_cores < machine.installed_cores else []
    limits += [f"a quota of {machine.quota_cores:g}"] if machine.quota_cores is not None else []
    return f"{machine.usable_cores} of {machine.installed_cores} cores usable ({', '.join(limits)})"


def describe_instructions(machine: Machine) -> str:
    names = [INSTRUCTIONS[each][0] for each in machine.instructions]
    fast = [precision for precision in ("bf16", "int8") if machine.accelerates(precision)]
    return f"{', '.join(names) or 'none known'}: {' and '.join(fast) or 'no precision but fp32'} in hardware"


def describe_gpus(machine: Machine) -> Iterator[str]:
    if not machine.gpus:
        build = f"CUDA {machine.cuda_build}" if machine.cuda_build else "CPUs"
        yield f"none found by torch, which is built for {build}"
    for number, gpu in enumerate(machine.gpus):
        memory = f"{gpu.free_bytes / GIB:.1f} of {gpu.total_bytes / GIB:.1f} GiB free"
        yield f"cuda:{number} {gpu.name}, {memory}, {'bf16 in hardware' if gpu.bf16 else 'no bf16'}"


def measure_encoder(
    machine: Machine, encoder: Encoder, read: Callable[[bytes], object], load: DoctorLoad, precisions: Sequence[str]
) -> Iterator[str]:
    """Yield lines with items per second of each step, then the verdict. `read`: bytes of a file to pixels."""
    info, image = encoder.info, make_picture(SMALL)
    threads = torch.get_num_threads()
    place = f"on {info.device}, {info.precision}, {threads} {'thread' if threads == 1 else 'threads'} a pass"
    yield from format_fact("model", f"{info.model} {place}, {info.dimension} dimensions, {info.image_size} px")
    for size in (SMALL, LARGE):
        files = measure_rate(partial(read, make_jpeg(size)), load.seconds)
        yield from format_fact("read", f"JPEG of {size[0]} x {size[1]}: {files:.0f} images/s on one thread")
    pixels, images = encoder.prepare_image(image), 0.0
    for count in sorted({1, load.batch}):
        texts = measure_texts(encoder, count, load.seconds)
        images = count * measure_rate(partial(encoder.encode_images, [pixels] * count), load.seconds)
        yield from format_fact(f"batch of {count}", f"{texts}, {images:.0f} images/s")
    yield from format_verdict(machine, info, precisions, images)


def measure_texts(encoder: Encoder, count: int, seconds: float) -> str:
    if not encoder.info.texts:
        return "no texts (an image-only model)"
    texts = [encoder.prepare_text(TEXT)] * count
    return f"{count * measure_rate(partial(encoder.encode_texts, texts), seconds):.0f} texts/s"


def make_jpeg(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    make_picture(size).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def make_picture(size: tuple[int, int]) -> Image.Image:
    """Return a gradient with noise: about as many bytes per pixel as a photograph."""
    shades = Image.radial_gradient("L").resize(size)
    return Image.blend(shades, Image.effect_noise(size, 40), 0.3).convert("RGB")


def format_verdict(machine: Machine, info: ModelInfo, precisions: Sequence[str], images: float) -> list[str]:
    """Return the largest bottleneck and what to do about it.

    `precisions`: those that can be chosen; `images`: per second, in batches.
    """
    return format_fact("verdict", next(find_hindrances(machine, info, precisions, images), "no bottleneck found"))


def find_hindrances(machine: Machine, info: ModelInfo, precisions: Sequence[str], images: float) -> Iterator[str]:
    """Yield bottlenecks, the largest first."""
    on_cpu = info.device.startswith("cpu")
    if on_cpu and machine.gpus:
        yield "a GPU is unused: serve with --device cuda --precision bf16"
    if not on_cpu and info.precision == "fp32" and any(gpu.bf16 for gpu in machine.gpus):
        yield "the GPU computes fp32: --precision bf16 is several times faster"
    threads, usable = torch.get_num_threads(), machine.usable_cores
    if on_cpu and threads > usable:
        yield f"{threads} threads compete for {usable} usable cores: use --threads {usable}"
    if on_cpu and info.precision == "bf16" and not machine.accelerates("bf16"):
        yield "this processor emulates bf16: --precision fp32 is faster"
    if on_cpu and info.precision == "fp32" and images < SLOW:
        yield from suggest_precisions(machine, precisions)
    if not machine.jpeg:
        yield "JPEGs are decoded without SIMD: install Pillow from its wheel (pip install --force-reinstall pillow)"
    missing = [each.split()[0] for each in machine.decoders if each.endswith("missing")]
    if missing:
        yield f"no {' and no '.join(missing)} files can be read: install Pillow from its wheel"


def suggest_precisions(machine: Machine, precisions: Sequence[str]) -> Iterator[str]:
    """Suggest the precisions that this processor accelerates and that fp32 leaves unused."""
    fast = [each for each in precisions if machine.accelerates(each)]
    if fast:
        yield f"fp32 is the exact choice; for speed this processor has {' and '.join(fast)}: try --precision {fast[0]}"


def format_fact(label: str, text: str) -> list[str]:
    """Format `label` and `text` in two columns; no line is longer than 80 unless a single word is."""
    lines = wrap(text, WIDTH - LABEL - 1, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{label if not number else '':{LABEL}} {line}".rstrip() for number, line in enumerate(lines)]


def measure_rate(call: Callable[[], object], seconds: float) -> float:
    """Return calls per second, after one to warm up."""
    call()
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not count:
        call()
        count += 1
    return count / elapsed
