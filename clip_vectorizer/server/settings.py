"""What a sidecar is started with, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.server.limits import Limits

BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "": False}
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True, slots=True)
class Settings:
    model: str = "emoji"
    architecture: str = ""  # of a checkpoint file
    host: str = "127.0.0.1"
    port: int = 9090  # 0: any free one
    device: str = "cpu"  # `cpu`, `cuda`, `cuda:1`
    precision: str = "fp32"
    threads: int = 0  # of one pass on a CPU; 0: as fits the model (models.placement)
    decode_threads: int = 2  # images decoded at once
    basic_auth: str = ""  # `user:password`; empty: open
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
        basic_auth=credentials(env),
        limits=limits_from(env),
    )


def limits_from(env: Mapping[str, str]) -> Limits:
    usual = Limits()
    return Limits(
        max_batch=whole(env, "CLIP_MAX_BATCH", usual.max_batch),
        max_items=whole(env, "CLIP_MAX_ITEMS", usual.max_items),
        max_queue=whole(env, "CLIP_MAX_QUEUE", usual.max_queue),
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
    kind, _, number = text.partition(":")
    if text not in ("cpu", "cuda") and not (kind == "cuda" and number.isascii() and number.isdecimal()):
        raise SettingsError(f"{name}={text!r}: expected cpu, cuda or cuda:N, for example cuda:0")
    return text


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
