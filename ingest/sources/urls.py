"""What of an address may be shown and kept: everything but what lets its holder in."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# Signed addresses: Amazon's and Google's new and old, CloudFront's, Azure's, and what others call their keys.
SIGNATURE_FIELD = re.compile(
    r"x-(amz|goog|oss|cos|obs|tos)-.*|awsaccesskeyid|ossaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id"
    r"|s(ig|v|e|p|r|t|pr|ip|koid|ktid|kt|ke|ks|kv)|.*(token|secret|password|passwd|api_?key|access_?key|auth).*",
    re.IGNORECASE,
)
# Azure's names are short enough to be others': they count as signed beside its `sig` only.
AZURE_FIELD = re.compile(r"s(v|e|p|r|t|pr|ip|koid|ktid|kt|ke|ks|kv)", re.IGNORECASE)
WEB_SCHEMES = ("http", "https")
PERCENT_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def is_url(word: str) -> bool:
    return URL.match(word) is not None


def parse_scheme(address: str) -> str:
    return address.partition("://")[0].lower()


def is_http(address: str) -> bool:
    return parse_scheme(address) in WEB_SCHEMES


def strip_secrets(address: str) -> str:
    """The address without user, password, fragment and signature. Other parts of a query stay: they tell images apart.

    Only the web's addresses have queries: in a bucket, `?` and `#` are letters like any other.
    """
    scheme, _, rest = address.partition("://")
    if not is_http(address):
        return f"{scheme.lower()}://{strip_user(rest)}"
    parts = urlsplit(address)
    place = strip_user(parts.netloc).lower()
    return urlunsplit((scheme.lower(), place, parts.path, strip_signature(parts.query), ""))


def strip_user(rest: str) -> str:
    place, slash, path = rest.partition("/")
    return place.rpartition("@")[2] + slash + path


def strip_signature(query: str) -> str:
    """The query without its signature; as it was written where it has none."""
    fields = parse_qsl(query, keep_blank_values=True)
    names = {name.lower() for name, _ in fields}
    kept = [field for field in fields if not is_signature(field[0], names)]
    return query if len(kept) == len(fields) else urlencode(kept)


def is_signature(name: str, beside: Iterable[str]) -> bool:
    if AZURE_FIELD.fullmatch(name):
        return "sig" in beside
    return SIGNATURE_FIELD.fullmatch(name) is not None


def parse_base_name(address: str) -> str:
    """What the address is called in its folder."""
    path = strip_secrets(address).partition("://")[2]
    name = (urlsplit(strip_secrets(address)).path if is_http(address) else path).rstrip("/").rpartition("/")[2]
    return unquote(name) if is_http(address) else name


def join_url(address: str, path: str) -> str:
    """The address of `path`, relative to the folder `address` (of which no query is kept).

    On the web, where a path may be written as in a page, with `%20` for a space, what is written so stays so.
    """
    if is_http(address):
        parts = urlsplit(address)
        folder = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/", "", ""))
        return folder + quote(path, safe="/%" if PERCENT_ESCAPE.search(path) else "/")
    return f"{address.rstrip('/')}/{path}"


def parent_url(address: str) -> str:
    """The folder that the file at `address` lies in; the user stays, the signature goes: it is the file's own."""
    if is_http(address):
        parts = urlsplit(address)
        return urlunsplit((parts.scheme, parts.netloc, parts.path.rpartition("/")[0] + "/", "", ""))
    head, _, _ = address.rpartition("/")
    return f"{head}/"
