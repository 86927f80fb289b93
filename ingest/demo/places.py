"""Endpoints of a stack, and the folders of the demo: its data and its example images."""

import hashlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import clip_vectorizer
from clip_vectorizer.errors import InputError, SettingsError
from clip_vectorizer.images import PIXELS_VERSION
from ingest.embedded import LocalStack
from ingest.embedded.binary import get_cache_dir

CHECKOUT = Path(__file__).parents[2]
EXAMPLES_DIR = Path("examples") / "images"
BUNDLED_MODEL = "emoji"
BUNDLED_WEIGHTS = Path(clip_vectorizer.__file__).parent / "models" / BUNDLED_MODEL / "open_clip_model.safetensors"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs, gRPC port and API key of a Weaviate and its sidecar."""

    weaviate_url: str
    grpc_port: int
    api_key: str | None
    vectorizer_url: str

    def variables(self) -> dict[str, str]:
        """Return the environment that makes every command of this project use this stack."""
        return {
            "WEAVIATE_URL": self.weaviate_url,
            "WEAVIATE_GRPC_PORT": str(self.grpc_port),
            "WEAVIATE_API_KEY": self.api_key or "",
            "VECTORIZER_URL": self.vectorizer_url,
        }

    def exports(self) -> str:
        """Return shell lines that set these variables."""
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in self.variables().items())


def read_stack_endpoints(stack: LocalStack) -> Endpoints:
    weaviate = stack.weaviate
    return Endpoints(weaviate.url, weaviate.grpc_port, weaviate.api_key, stack.sidecar.url)


def read_environment_endpoints(env: Mapping[str, str]) -> Endpoints | None:
    """Return the endpoints that the environment names; None without WEAVIATE_URL. Raises SettingsError."""
    # Here, for it imports the Weaviate client, which takes a second that `clip-demo up` and `down` need not spend.
    from clip_vectorizer.defaults import DEFAULT_GRPC_PORT, DEFAULT_VECTORIZER_URL

    if not env.get("WEAVIATE_URL"):
        return None
    port = env.get("WEAVIATE_GRPC_PORT") or str(DEFAULT_GRPC_PORT)
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError(f"WEAVIATE_GRPC_PORT={port!r}: expected a port, for example {DEFAULT_GRPC_PORT}")
    sidecar = env.get("VECTORIZER_URL") or DEFAULT_VECTORIZER_URL
    return Endpoints(env["WEAVIATE_URL"], int(port), env.get("WEAVIATE_API_KEY") or None, sidecar)


def choose_data_dir(model: str, env: Mapping[str, str]) -> Path:
    """Return the data folder for a model and pixel version, so that vectors of two models never mix."""
    # A new version of this package may bring new weights of the bundled model: they get a new folder.
    identity = BUNDLED_WEIGHTS.read_bytes() if model == BUNDLED_MODEL else model.encode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model)
    return get_cache_dir(env) / "stacks" / f"{name}-{hashlib.sha256(identity).hexdigest()[:8]}-v{PIXELS_VERSION}"


def find_images(named: Path | None, checkout: Path = CHECKOUT) -> Path:
    """Return the folder of `--images`, else the examples of a checkout. Raises InputError."""
    if named:
        return named
    for root in (Path(), checkout):
        if (root / EXAMPLES_DIR).is_dir():
            return root / EXAMPLES_DIR
    raise InputError(f"no folder {EXAMPLES_DIR} here; name a folder of images: `clip-demo --images FOLDER`")
