"""An image from an http:// or https:// address, within a size and a time."""

import time

import httpx

from clip_vectorizer.errors import InputError

MOST_BYTES = 50_000_000
STEP_SECONDS = 20.0  # to connect, and between two pieces
LONGEST_SECONDS = 60.0
REDIRECTS = 5
SCHEMES = ("http://", "https://")


def is_address(name: object) -> bool:
    return isinstance(name, str) and name.lower().startswith(SCHEMES)


def downloaded(address: str, most_bytes: int = MOST_BYTES, longest_seconds: float = LONGEST_SECONDS) -> bytes:
    """The body. Raises InputError, without the address: whoever asked knows it."""
    try:
        with (
            httpx.Client(timeout=STEP_SECONDS, follow_redirects=True, max_redirects=REDIRECTS) as client,
            client.stream("GET", address, headers={"Accept": "image/*"}) as answer,
        ):
            return body_of(answer, most_bytes, time.monotonic() + longest_seconds)
    except httpx.TimeoutException:
        raise InputError(f"no answer within {STEP_SECONDS:g} s; download it, and search with the file") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise InputError(f"cannot be downloaded ({error or type(error).__name__}); check the address") from None


def body_of(answer: httpx.Response, most_bytes: int, deadline: float) -> bytes:
    if not answer.is_success:
        raise InputError(f"the server says {answer.status_code} {answer.reason_phrase}; check the address")
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > most_bytes:
            raise InputError(f"larger than {most_bytes:,} bytes; make it smaller, and search with the file")
        if time.monotonic() > deadline:
            raise InputError("the download takes too long; download it, and search with the file")
    return bytes(body)
