"""What the Weaviate client's exceptions mean, in our errors: whom to start, which setting to change."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from weaviate.exceptions import (
    UnexpectedStatusCodeError,
    WeaviateBaseError,
    WeaviateClosedClientError,
    WeaviateConnectionError,
    WeaviateGRPCUnavailableError,
    WeaviateStartUpError,
    WeaviateTimeoutError,
)

from clip_vectorizer.errors import SidecarUnreachable, VectorizerError, WeaviateUnreachable

LOST = (
    httpx.TransportError,
    WeaviateClosedClientError,
    WeaviateConnectionError,
    WeaviateGRPCUnavailableError,
    WeaviateStartUpError,
    WeaviateTimeoutError,
)
UNAUTHORISED = (401, 403)
SIDECAR_SILENT = ("send POST request", "dial tcp")  # Weaviate's Go client, when its own request finds nobody


@contextmanager
def weaviate_errors(url: str) -> Iterator[None]:
    """Turns what the Weaviate client raises inside into Unreachable (Weaviate or its sidecar), else VectorizerError."""
    try:
        yield
    except VectorizerError:
        raise
    except (WeaviateBaseError, httpx.HTTPError, ValueError, KeyError) as error:
        raise translated(error, url) from error


def translated(error: Exception, url: str) -> VectorizerError:
    """The error of ours that says what `error` means for the Weaviate at `url`."""
    reason = one_line(error)
    if isinstance(error, UnexpectedStatusCodeError) and error.status_code in UNAUTHORISED:
        return WeaviateUnreachable(
            f"Weaviate at {url} refuses the API key (HTTP {error.status_code}); "
            "set WEAVIATE_API_KEY (or --weaviate-api-key)"
        )
    if any(mark in reason for mark in SIDECAR_SILENT):
        return SidecarUnreachable(
            f"Weaviate at {url} cannot reach its sidecar ({reason}); start it with `clip-vectorizer serve`, "
            "or correct CLIP_INFERENCE_API of the Weaviate server"
        )
    if isinstance(error, LOST) or grpc_code(error) in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        return WeaviateUnreachable(
            f"no Weaviate answers at {url} ({reason}); start one (`clip-demo up` prints its settings), "
            "or set WEAVIATE_URL and WEAVIATE_GRPC_PORT (or --weaviate-url, --weaviate-grpc-port)"
        )
    if isinstance(error, ValueError | KeyError):  # an answer, but not the JSON that Weaviate gives
        return WeaviateUnreachable(f"what answers at {url} is not Weaviate; check WEAVIATE_URL (or --weaviate-url)")
    return VectorizerError(f"Weaviate at {url}: {reason}")


def grpc_code(error: Exception) -> str:
    """The name of the gRPC status that `error` came from, or nothing."""
    code = getattr(error.__cause__, "code", None)
    return str(getattr(code(), "name", "")) if callable(code) else ""


def one_line(error: Exception) -> str:
    """What `error` says, white space collapsed; its type's name if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
