"""What a sidecar is started with, read once from the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.server.limits import Limits

DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,3})?")
BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "": False}
LOG_LEVELS = ("info", "debug", "warning", "error")
PRECISIONS = ("fp32", "bf16", "int8")
MOST_PROCESSES = 256  # each takes some 300 MB with a torch model's preprocessing


@dataclass(frozen=True, slots=True)
class Settings:
    model: str = "emoji"
    architecture: str = ""  # of a checkpoint file
    host: str = "127.0.0.1"
    port: int = 9090  # 0: any free one
    device: str = "cpu"  # `cpu`, `cuda`, `cuda:1`; several, one worker each: `cuda:0,cuda:1`, `cuda:all`
    precision: str = "fp32"
    threads: int = 0  # of one pass on a CPU; 0: as fits the model (models.placement)
    decode_threads: int = 2  # images decoded at once
    processes: int = 1  # that speak HTTP and decode; more than one stand before another that has the model
    basic_auth: str = ""  # `user:password`
    api_keys: tuple[str, ...] = ()  # any of them opens; with neither of the two all is open
    max_connections: int = 4096  # at once; who comes later hears a 503
    log_level: str = "info"
    limits: Limits = field(default_factory=Limits)


def settings_from(env: Mapping[str, str]) -> Settings:
    """Raises SettingsError naming the variable that cannot be used."""
    usual = Settings()
    return Settings(
        model=env.get("CLIP_MODEL", "").strip() or usual.model,
        architecture=env.get("CLIP_ARCHITECTURE", "").strip(),
        host=env.get("CLIP_HOST", "").strip() or usual.host,
        port=whole(env, "CLIP_PORT", usual.port, least=0, most=65535),
        device=device(env),
        precision=one_of(env, "CLIP_PRECISION", PRECISIONS),
        threads=whole(env, "CLIP_THREADS", usual.threads, least=0),
        decode_threads=whole(env, "CLIP_DECODE_THREADS", usual.decode_threads),
        processes=whole(env, "CLIP_PROCESSES", usual.processes, most=MOST_PROCESSES),
        basic_auth=credentials(env),
        api_keys=keys(env),
        max_connections=whole(env, "CLIP_MAX_CONNECTIONS", usual.max_connections),
        log_level=one_of(env, "CLIP_LOG_LEVEL", LOG_LEVELS),
        limits=limits_from(env),
    )


def limits_from(env: Mapping[str, str]) -> Limits:
    usual = Limits()
    return Limits(
        max_batch=whole(env, "CLIP_MAX_BATCH", usual.max_batch),
        max_items=whole(env, "CLIP_MAX_ITEMS", usual.max_items),
        max_queue=whole(env, "CLIP_MAX_QUEUE", usual.max_queue),
        max_queue_bytes=whole(env, "CLIP_MAX_QUEUE_BYTES", usual.max_queue_bytes),
        cache_bytes=whole(env, "CLIP_CACHE_BYTES", usual.cache_bytes, least=0),
        hang_seconds=whole(env, "CLIP_HANG_SECONDS", int(usual.hang_seconds)),
        max_body_bytes=whole(env, "CLIP_MAX_BODY_BYTES", usual.max_body_bytes),
        max_pixels=whole(env, "CLIP_MAX_PIXELS", usual.max_pixels),
        max_text_characters=whole(env, "CLIP_MAX_TEXT_CHARACTERS", usual.max_text_characters),
        deadline_seconds=whole(env, "CLIP_DEADLINE_SECONDS", int(usual.deadline_seconds)),
    )


def whole(env: Mapping[str, str], name: str, default: int, least: int = 1, most: int = 2**40) -> int:
    text = env.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 15 and least <= int(text) <= most):
        raise SettingsError(f"{name}={text!r}: expected a whole number from {least} to {most}, for example {default}")
    return int(text)


def one_of(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = env.get(name, "").strip() or choices[0]
    if text not in choices:
        raise SettingsError(f"{name}={text!r}: expected one of {', '.join(choices)}")
    return text


def device(env: Mapping[str, str]) -> str:
    """CLIP_DEVICE, else what the upstream container's ENABLE_CUDA and CUDA_CORE ask for, else the CPU."""
    if own := env.get("CLIP_DEVICE", "").strip():
        return known_device("CLIP_DEVICE", own)
    if not boolean(env, "ENABLE_CUDA"):
        return "cpu"
    return known_device("CUDA_CORE", env.get("CUDA_CORE", "").strip() or "cuda:0")


def known_device(name: str, text: str) -> str:
    """One device or several with commas between; whether they are here is for `models.devices` to say."""
    parts = [part.strip() for part in text.split(",")]
    if text != "cuda:all" and not all(DEVICE.fullmatch(part) for part in parts):
        raise SettingsError(
            f"{name}={text!r}: expected cpu, cuda, cuda:N or cuda:all, or several with commas, such as cuda:0,cuda:1"
        )
    if len({part == "cpu" for part in parts}) > 1:
        raise SettingsError(f"{name}={text!r}: the CPU beside a GPU would only hold it up; name one kind")
    return ",".join(parts)


def boolean(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").strip().lower()
    if text not in BOOLEANS:
        raise SettingsError(f"{name}={text!r}: expected true, false, 1 or 0")
    return BOOLEANS[text]


def credentials(env: Mapping[str, str]) -> str:
    text = env.get("CLIP_BASIC_AUTH", "")
    if text and not all(text.partition(":")):
        raise SettingsError("CLIP_BASIC_AUTH: expected user:password")
    return text


def keys(env: Mapping[str, str]) -> tuple[str, ...]:
    """One key or several with commas between."""
    parts = tuple(part.strip() for part in env.get("CLIP_API_KEYS", "").split(","))
    if parts != ("",) and not all(part.isprintable() and part and " " not in part for part in parts):
        raise SettingsError("CLIP_API_KEYS: expected keys without spaces, with commas between: key1,key2")
    return () if parts == ("",) else parts
