"""The Ray cluster: the one of this process, one by its address, or one started on this machine."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

from clip_vectorizer.errors import InputError, VectorizerError

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class RaySettings:
    """Size of a run. Readers use all CPUs of the cluster that are left."""

    address: str | None = None  # of a cluster; None or "local": the one of this process, or a new one on this machine
    cpus: int | None = None  # of a new one on this machine
    parts: int = 8  # tasks that list folders and tables, each for another part of their images
    embedders: int = 2
    vectorizer_urls: tuple[str, ...] = ()  # of sidecars, used in turn; (): the job's
    model: str | None = None  # instead of URLs: each embedder starts its own sidecar with this model
    gpus: float = 0.0  # for each embedder with its own sidecar
    writers: int = 2


@contextmanager
def connect_cluster(settings: RaySettings) -> Iterator[Any]:
    """Yield Ray's module, connected; a cluster started here ends with the context. Raises InputError without Ray."""
    with set_environment(local=settings.address in (None, LOCAL)):
        ray = import_ray()
        if ray.is_initialized():
            yield ray
            return
        with TemporaryDirectory(prefix="clip-ray-", ignore_cleanup_errors=True) as folder:
            try:
                ray.init(**build_init_arguments(settings, folder), logging_level=logging.ERROR)
            except (ConnectionError, RuntimeError, ValueError) as error:
                where = settings.address or "this machine"
                raise VectorizerError(f"Ray at {where} does not start: {format_ray_error(error)}") from error
            try:
                yield ray
            finally:
                ray.shutdown()


@cache
def make_token() -> str:
    """Return the token that keeps other users of this machine out. One per process, because Ray reads it once."""
    return secrets.token_hex(32)


def import_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(f"Ray is not installed here ({error}): pip install 'clip-vectorizer[ray]'") from error
    return ray


def build_init_arguments(settings: RaySettings, folder: str) -> dict[str, Any]:
    if settings.address not in (None, LOCAL):
        return {"address": settings.address}
    return {
        "address": LOCAL,
        "num_cpus": settings.cpus,
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
        "_temp_dir": folder,
    }


@contextmanager
def set_environment(local: bool) -> Iterator[None]:
    """Set the environment variables that Ray reads at import, unless they are set already."""
    wanted = {"RAY_USAGE_STATS_ENABLED": "0"}
    if local:
        # Means in Ray that the cluster is this machine: it then binds its ports to loopback only.
        wanted |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        wanted |= {"PYTHONWARNINGS": "ignore"}  # of its workers, where weaviate-client would enable all
        wanted |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": make_token()}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def format_ray_error(error: Exception) -> str:
    """Return the first line of the cause: Ray's errors contain the tracebacks of several processes."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
