"""From an error to its answer: one table of kinds, and a body that the asking client can read."""

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from clip_vectorizer.errors import (
    BadRequest,
    EncoderFailed,
    NotServed,
    Overloaded,
    RequestRefused,
    SlowBody,
    TooLarge,
    Unauthorised,
    UnreadableImage,
)
from clip_vectorizer.protocol import ERROR, REFUSED

log = logging.getLogger(__name__)
JSON = "application/json"
CLIENT_GONE = 499  # nginx's number; nobody reads it
OPENAI = "/v1/"  # paths whose clients expect an object for an error
KINDS: dict[type[BaseException], str] = {
    BadRequest: "bad_request",
    UnreadableImage: "unreadable_image",
    TooLarge: "too_large",
    Unauthorised: "unauthorised",
    NotServed: "not_served",
    SlowBody: "slow_body",
    Overloaded: "overloaded",
    EncoderFailed: "model_failed",
    ClientDisconnect: "client_gone",
}
CODES = {400: "invalid_request", 401: "invalid_api_key", 404: "not_found", 413: "too_large", 503: "overloaded"}


def kind_of(error: BaseException) -> str:
    return KINDS.get(type(error), "crash")


def reply_to(error: Exception, path: str) -> tuple[Response, str]:
    """The answer and its sentence. What nobody foresaw goes to the log with its stack trace."""
    status, sentence = status_of(error)
    if status == 500:
        log.error("%s", sentence, exc_info=None if isinstance(error, EncoderFailed) else error)
    refused = error.refused if isinstance(error, RequestRefused) else {}
    return Response(body_of(sentence, status, refused, path), status, media_type=JSON), sentence


def status_of(error: Exception) -> tuple[int, str]:
    if isinstance(error, RequestRefused):
        return error.status, str(error)
    if isinstance(error, EncoderFailed):
        return 500, str(error)
    if isinstance(error, ClientDisconnect):
        return CLIENT_GONE, "the client hung up"
    return 500, f"the sidecar failed ({type(error).__name__}: {error}); its log says where"


def body_of(sentence: str, status: int, refused: Mapping[int, str], path: str) -> bytes:
    more = {REFUSED: {str(index): reason for index, reason in refused.items()}} if refused else {}
    return orjson.dumps({ERROR: openai_error(sentence, status) if path.startswith(OPENAI) else sentence, **more})


def openai_error(sentence: str, status: int) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": sentence, "type": kind, "param": None, "code": CODES.get(status)}
