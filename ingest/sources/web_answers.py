"""What the answers of web servers mean."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx

from ingest.items import UnusableFile
from ingest.sources.base import SETTLED_SECONDS, stamp_of
from ingest.sources.retries import Passing

PASSING = (408, 425, 429, 500, 502, 503, 504)
REASONS = {
    401: "refused (HTTP 401): it asks for a user and password, or a key",
    403: "refused (HTTP 403): no access; has the address expired?",
    404: "not found (HTTP 404)",
    410: "gone (HTTP 410)",
}


def refuse(answer: httpx.Response) -> None:
    """Raises UnusableFile and Passing for an answer without what was asked for."""
    status = answer.status_code
    if answer.is_success or status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        return
    if status in PASSING:
        after = answer.headers.get("Retry-After", "")
        raise Passing(f"the server answers HTTP {status}", float(after) if after.isdecimal() else 0.0)
    raise UnusableFile(REASONS.get(status, f"the server answers HTTP {status}"))


def version_of(headers: Mapping[str, str]) -> str:
    """A stamp; "" where the headers do not tell versions apart. A size alone does not."""
    tag, modified, length = (headers.get(name, "") for name in ("ETag", "Last-Modified", "Content-Length"))
    if not tag and not long_ago(modified, headers.get("Date", "")):
        return ""
    return stamp_of(tag, modified, length)


def long_ago(modified: str, now: str) -> bool:
    """Whether the second of the last change is over for good."""
    try:
        return (parsedate_to_datetime(now) - parsedate_to_datetime(modified)).total_seconds() > SETTLED_SECONDS
    except (TypeError, ValueError):
        return False


def said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
