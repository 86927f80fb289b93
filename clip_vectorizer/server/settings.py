"""The settings of a sidecar, read once from the environment, and the share of each worker process."""

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.images.settings import ColourMode
from clip_vectorizer.models.captioning.names import explain_captioner
from clip_vectorizer.models.cores import usable_cores
from clip_vectorizer.models.grounding.names import explain_grounder
from clip_vectorizer.secret_files import read_secret
from clip_vectorizer.server.limits import Limits

DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,3})?")
BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "": False}
LOG_LEVELS = ("info", "debug", "warning", "error")
COLOUR_MODES = ("srgb", "raw")
PRECISIONS = ("fp32", "bf16", "int8")
MAX_PROCESSES = 256  # each takes some 300 MB with a torch model's preprocessing


@dataclass(frozen=True, slots=True)
class Settings:
    model: str = "emoji"
    grounder: str = "auto"  # what finds regions (models.grounding.names)
    captioner: str = "none"  # what writes captions (models.captioning.names)
    architecture: str = ""  # of a checkpoint file
    attend_padding: int = 0  # tokens to which Taiyi's texts are padded, without a mask; 0: masked
    host: str = "127.0.0.1"
    port: int = 9090  # 0: any free one
    device: str = "cpu"  # `cpu`, `cuda`, `cuda:1`; several, one model each: `cuda:0,cuda:1`, `cuda:all`
    precision: str = "fp32"
    threads: int = 0  # of one batch on a CPU; 0: as fits the model (models.devices)
    decode_threads: int = 2  # images decoded at once
    listen_when_ready: bool = False  # else immediately, with 503 until the model is loaded
    processes: int = 1  # for HTTP and decoding; several are worker processes of one that has the model
    basic_auth: str = ""  # `user:password`
    api_keys: tuple[str, ...] = ()  # any of them is accepted; with neither password nor keys, every request is
    max_connections: int = 4096  # at once; further ones get a 503
    log_level: str = "info"
    limits: Limits = field(default_factory=Limits)


def parse_settings(env: Mapping[str, str]) -> Settings:
    """Read all variables. Raises SettingsError, which names the variable."""
    usual = Settings()
    return Settings(
        model=env.get("CLIP_MODEL", "").strip() or usual.model,
        grounder=parse_grounder(env),
        captioner=parse_captioner(env),
        architecture=env.get("CLIP_ARCHITECTURE", "").strip(),
        attend_padding=parse_int(env, "CLIP_ATTEND_PADDING", usual.attend_padding, least=0),
        host=env.get("CLIP_HOST", "").strip() or usual.host,
        port=parse_int(env, "CLIP_PORT", usual.port, least=0, most=65535),
        listen_when_ready=parse_bool(env, "CLIP_LISTEN_WHEN_READY"),
        device=parse_device(env),
        precision=parse_choice(env, "CLIP_PRECISION", PRECISIONS),
        threads=parse_int(env, "CLIP_THREADS", usual.threads, least=0),
        decode_threads=parse_int(env, "CLIP_DECODE_THREADS", usual.decode_threads),
        processes=parse_int(env, "CLIP_PROCESSES", usual.processes, most=MAX_PROCESSES),
        basic_auth=parse_credentials(env),
        api_keys=parse_keys(env),
        max_connections=parse_int(env, "CLIP_MAX_CONNECTIONS", usual.max_connections),
        log_level=parse_choice(env, "CLIP_LOG_LEVEL", LOG_LEVELS),
        limits=parse_limits(env),
    )


def parse_limits(env: Mapping[str, str]) -> Limits:
    usual = Limits()
    return Limits(
        max_batch=parse_int(env, "CLIP_MAX_BATCH", usual.max_batch),
        max_items=parse_int(env, "CLIP_MAX_ITEMS", usual.max_items),
        max_images=parse_int(env, "CLIP_MAX_IMAGES", usual.max_images),
        max_queue=parse_int(env, "CLIP_MAX_QUEUE", usual.max_queue),
        max_queue_bytes=parse_int(env, "CLIP_MAX_QUEUE_BYTES", usual.max_queue_bytes),
        cache_bytes=parse_int(env, "CLIP_CACHE_BYTES", usual.cache_bytes, least=0),
        hang_seconds=parse_int(env, "CLIP_HANG_SECONDS", int(usual.hang_seconds)),
        max_body_bytes=parse_int(env, "CLIP_MAX_BODY_BYTES", usual.max_body_bytes),
        max_pixels=parse_int(env, "CLIP_MAX_PIXELS", usual.max_pixels),
        least_decoded=parse_share(env, "CLIP_LEAST_DECODED", usual.least_decoded),
        colour=parse_colour(env),
        max_text_characters=parse_int(env, "CLIP_MAX_TEXT_CHARACTERS", usual.max_text_characters),
        deadline_seconds=parse_int(env, "CLIP_DEADLINE_SECONDS", int(usual.deadline_seconds)),
    )


def parse_int(env: Mapping[str, str], name: str, default: int, least: int = 1, most: int = 2**40) -> int:
    text = env.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 15 and least <= int(text) <= most):
        raise SettingsError(f"{name}={text!r}: expected a whole number from {least} to {most}, for example {default}")
    return int(text)


def parse_share(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "").strip() or str(default)
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise SettingsError(f"{name}={text!r}: expected a number from 0 to 1, for example {default}")
    return share


def parse_grounder(env: Mapping[str, str]) -> str:
    text = env.get("CLIP_GROUNDER", "").strip() or Settings().grounder
    if reason := explain_grounder(text):
        raise SettingsError(f"CLIP_GROUNDER={text!r}: {reason}")
    return text


def parse_captioner(env: Mapping[str, str]) -> str:
    text = env.get("CLIP_CAPTIONER", "").strip() or Settings().captioner
    if reason := explain_captioner(text):
        raise SettingsError(f"CLIP_CAPTIONER={text!r}: {reason}")
    return text


def parse_colour(env: Mapping[str, str]) -> ColourMode:
    return "raw" if parse_choice(env, "CLIP_COLOUR", COLOUR_MODES) == "raw" else "srgb"


def parse_choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = env.get(name, "").strip() or choices[0]
    if text not in choices:
        raise SettingsError(f"{name}={text!r}: expected one of {', '.join(choices)}")
    return text


def parse_device(env: Mapping[str, str]) -> str:
    """CLIP_DEVICE, else the upstream container's ENABLE_CUDA and CUDA_CORE, else the CPU."""
    if own := env.get("CLIP_DEVICE", "").strip():
        return check_device("CLIP_DEVICE", own)
    if not parse_bool(env, "ENABLE_CUDA"):
        return "cpu"
    return check_device("CUDA_CORE", env.get("CUDA_CORE", "").strip() or "cuda:0")


def check_device(name: str, text: str) -> str:
    """One device, or several with commas; `models.devices` checks whether they exist."""
    parts = [part.strip() for part in text.split(",")]
    if text != "cuda:all" and not all(DEVICE.fullmatch(part) for part in parts):
        raise SettingsError(
            f"{name}={text!r}: expected cpu, cuda, cuda:N or cuda:all, or several with commas, such as cuda:0,cuda:1"
        )
    if len({part == "cpu" for part in parts}) > 1:
        raise SettingsError(f"{name}={text!r}: a CPU would only slow a GPU down; name one kind")
    return ",".join(parts)


def parse_bool(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").strip().lower()
    if text not in BOOLEANS:
        raise SettingsError(f"{name}={text!r}: expected true, false, 1 or 0")
    return BOOLEANS[text]


def parse_credentials(env: Mapping[str, str]) -> str:
    text = read_secret(env, "CLIP_BASIC_AUTH")
    if text and not all(text.partition(":")):
        raise SettingsError("CLIP_BASIC_AUTH: expected user:password")
    return text


def parse_keys(env: Mapping[str, str]) -> tuple[str, ...]:
    """One key or several with commas between."""
    parts = tuple(part.strip() for part in read_secret(env, "CLIP_API_KEYS").split(","))
    if parts != ("",) and not all(part.isprintable() and part and " " not in part for part in parts):
        raise SettingsError("CLIP_API_KEYS: expected keys without spaces, with commas between: key1,key2")
    return () if parts == ("",) else parts


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    settings: Settings  # the worker's share
    status: str  # the message of a 503 until the model is loaded


def build_worker_config(settings: Settings, status: str) -> WorkerConfig:
    return WorkerConfig(share_settings(settings), status)


def share_settings(settings: Settings) -> Settings:
    """The limits of one worker: at least one whole request, else its share of what `settings` allow.

    No cache: there is one for all workers, in the model's process. A cache of a worker would keep rows that the shared
    one has dropped, and equal inputs would differ in the last bits between workers.
    """
    limits, count = settings.limits, settings.processes
    share = replace(
        limits,
        max_queue=max(limits.max_queue // count, min(limits.max_queue, limits.request_places)),
        max_queue_bytes=max(limits.max_queue_bytes // count, limits.body_bytes),
        cache_bytes=0,
    )
    most = max(settings.max_connections // count, 1)
    return replace(settings, limits=share, decode_threads=max(1, usable_cores() // count), max_connections=most)


def check_platform(settings: Settings) -> None:
    """Raises SettingsError where a socket cannot be passed to another process."""
    if sys.platform == "win32":
        raise SettingsError(f"CLIP_PROCESSES='{settings.processes}': on Windows one process serves; remove it")
