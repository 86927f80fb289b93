"""What the Weaviate client's exceptions mean, in our errors: whom to start, which setting to change."""

import re
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
# Weaviate's Go client, when its own request finds nobody. A request that ran out of time says `send POST request` too,
# but also that it was `awaiting headers`: the sidecar is there, and slow.
SIDECAR_SILENT = ("dial tcp", "connection refused", "connection reset", "no such host", "EOF")
# The last two: while it shuts down it still answers [1.39.0].
WEAVIATE_SILENT = ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED", "no read replica", "resolve node name")
DETAIL = re.compile(r"""((?:Post|Get) "http.*|StatusCode\.\w+ details = "[^"]*")""")
REASON_LENGTH = 300


@contextmanager
def weaviate_errors(url: str) -> Iterator[None]:
    """Turns what the Weaviate client raises inside into Unreachable (Weaviate or its sidecar), else VectorizerError."""
    try:
        yield
    except VectorizerError:
        raise
    except (WeaviateBaseError, httpx.HTTPError) as error:
        raise translated(error, url) from error


def translated(error: Exception, url: str) -> VectorizerError:
    """The error of ours that says what `error` means for the Weaviate at `url`."""
    reason = reason_of(error)
    if isinstance(error, UnexpectedStatusCodeError) and error.status_code in UNAUTHORISED:
        return WeaviateUnreachable(
            f"Weaviate at {url} refuses the API key (HTTP {error.status_code}); "
            "set WEAVIATE_API_KEY (or --weaviate-api-key)"
        )
    if sidecar_is_silent(reason):
        return sidecar_unreachable(url, reason)
    if isinstance(error, LOST) or any(mark in reason for mark in WEAVIATE_SILENT):
        return WeaviateUnreachable(
            f"no Weaviate answers at {url} ({reason}); start one (`clip-demo up` prints its settings), "
            "or set WEAVIATE_URL and WEAVIATE_GRPC_PORT (or --weaviate-url, --weaviate-grpc-port)"
        )
    return VectorizerError(f"Weaviate at {url}: {reason}")


def sidecar_is_silent(reason: str) -> bool:
    """Whether `reason`, a sentence of Weaviate's, tells that its own request to the sidecar found nobody."""
    return any(mark in reason for mark in SIDECAR_SILENT)


def sidecar_unreachable(url: str, reason: str) -> SidecarUnreachable:
    return SidecarUnreachable(
        f"Weaviate at {url} cannot reach its sidecar ({reason}); start it with `clip-vectorizer serve`, "
        "or correct CLIP_INFERENCE_API of the Weaviate server"
    )


def reason_of(error: Exception) -> str:
    """What `error` says in one line: of a lost connection its root, of Weaviate's wrapped sentences the innermost."""
    root: BaseException = error
    while isinstance(error, LOST) and root.__context__ is not None:
        root = root.__context__
    text = " ".join(str(root).split()) or type(root).__name__
    detail = DETAIL.search(text)
    return (detail[1] if detail else text)[:REASON_LENGTH].rstrip(" .")
