"""Ray, where there is one: the cluster that this process belongs to, one by its address, or one on this machine."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

from clip_vectorizer.errors import InputError, VectorizerError
from ingest.distributed.settings import RaySettings

LOCAL = "local"


@contextmanager
def cluster(settings: RaySettings) -> Iterator[Any]:
    """Ray's module, connected. One that was started here ends with the context. Raises InputError without Ray."""
    with environment(local=settings.address in (None, LOCAL)):
        ray = imported_ray()
        if ray.is_initialized():
            yield ray
            return
        with TemporaryDirectory(prefix="clip-ray-", ignore_cleanup_errors=True) as folder:
            try:
                ray.init(**arguments(settings, folder), logging_level=logging.ERROR)
            except (ConnectionError, RuntimeError, ValueError) as error:
                where = settings.address or "this machine"
                raise VectorizerError(f"Ray at {where} does not start: {said(error)}") from error
            try:
                yield ray
            finally:
                ray.shutdown()


@cache
def token() -> str:
    """Without it nobody else on this machine gets in. One a process, for Ray reads it once."""
    return secrets.token_hex(32)


def imported_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(f"Ray is not installed here ({error}): pip install 'clip-vectorizer[ray]'") from error
    return ray


def arguments(settings: RaySettings, folder: str) -> dict[str, Any]:
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
def environment(local: bool) -> Iterator[None]:
    """What Ray can be told only this way, and before it is imported. What is set already stays."""
    wanted = {"RAY_USAGE_STATS_ENABLED": "0"}
    if local:
        # Ray's name for "the cluster is this machine": its ports are bound to loopback only.
        wanted |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        wanted |= {"PYTHONWARNINGS": "ignore"}  # of its workers, where weaviate-client would turn all on
        wanted |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token()}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def said(error: Exception) -> str:
    """Ray's errors carry traces of several processes; this is what the first of them came from."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
