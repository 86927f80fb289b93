"""What this machine offers to a model, gathered once."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import features

from clip_vectorizer.models.cores import allowed_cores, cpu_quota, usable_cores

DECODERS = ("jpg", "zlib", "webp", "avif", "libtiff")
# torch's names of what makes a model fast, in words, and the precision that each favours
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

    def favours(self, precision: str) -> bool:
        """Whether the processor has instructions of its own for bf16 or int8."""
        return any(INSTRUCTIONS[each][1] == precision for each in self.instructions)


def this_machine() -> Machine:
    capabilities = torch.cpu.get_capabilities()
    return Machine(
        software=f"python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}",
        processor=processor() or str(capabilities.get("cpu_name") or "unknown"),
        installed_cores=os.cpu_count() or 1,
        allowed_cores=allowed_cores(),
        quota_cores=cpu_quota(),
        usable_cores=usable_cores(),
        instructions=tuple(each for each in INSTRUCTIONS if capabilities.get(each)),
        gpus=tuple(map(gpu, range(torch.cuda.device_count()))),
        cuda_build=torch.version.cuda,
        decoders=tuple(f"{name} {version(name)}" for name in DECODERS),
        jpeg=(features.version("libjpeg_turbo") or "yes") if features.check("libjpeg_turbo") else "",
    )


def processor(file: Path = Path("/proc/cpuinfo")) -> str:
    """As the kernel names it; empty where it does not."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def gpu(number: int) -> Gpu:
    properties = torch.cuda.get_device_properties(number)
    free, total = torch.cuda.mem_get_info(number)
    return Gpu(properties.name, free, total, bf16=properties.major >= 8)  # Ampere and later


def version(decoder: str) -> str:
    return (features.version(decoder) or "yes") if features.check(decoder) else "missing"
