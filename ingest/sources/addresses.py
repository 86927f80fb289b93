"""What of an address may be shown and kept: everything but what lets its holder in."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# Signed addresses: Amazon's and Google's new and old, CloudFront's, Azure's, and what others call their keys.
SIGNED = re.compile(
    r"x-(amz|goog|oss|cos|obs|tos)-.*|awsaccesskeyid|ossaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id"
    r"|s(ig|v|e|p|r|t|pr|ip|koid|ktid|kt|ke|ks|kv)|.*(token|secret|password|passwd|api_?key|access_?key|auth).*",
    re.IGNORECASE,
)
# Azure's names are short enough to be others': they count as signed beside its `sig` only.
AZURE = re.compile(r"s(v|e|p|r|t|pr|ip|koid|ktid|kt|ke|ks|kv)", re.IGNORECASE)
WEB = ("http", "https")
ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")


def is_address(word: str) -> bool:
    return ADDRESS.match(word) is not None


def scheme_of(address: str) -> str:
    return address.partition("://")[0].lower()


def is_web(address: str) -> bool:
    return scheme_of(address) in WEB


def public(address: str) -> str:
    """The address without user, password, fragment and signature. Other parts of a query stay: they tell images apart.

    Only the web's addresses have queries: in a bucket, `?` and `#` are letters like any other.
    """
    scheme, _, rest = address.partition("://")
    if not is_web(address):
        return f"{scheme.lower()}://{without_user(rest)}"
    parts = urlsplit(address)
    place = without_user(parts.netloc).lower()
    return urlunsplit((scheme.lower(), place, parts.path, unsigned(parts.query), ""))


def without_user(rest: str) -> str:
    place, slash, path = rest.partition("/")
    return place.rpartition("@")[2] + slash + path


def unsigned(query: str) -> str:
    """The query without its signature; as it was written where it has none."""
    fields = parse_qsl(query, keep_blank_values=True)
    names = {name.lower() for name, _ in fields}
    kept = [field for field in fields if not is_signature(field[0], names)]
    return query if len(kept) == len(fields) else urlencode(kept)


def is_signature(name: str, beside: Iterable[str]) -> bool:
    if AZURE.fullmatch(name):
        return "sig" in beside
    return SIGNED.fullmatch(name) is not None


def name_of(address: str) -> str:
    """What the address is called in its folder."""
    path = public(address).partition("://")[2]
    name = (urlsplit(public(address)).path if is_web(address) else path).rstrip("/").rpartition("/")[2]
    return unquote(name) if is_web(address) else name


def beside(address: str, path: str) -> str:
    """The address of `path`, relative to the folder `address` (of which no query is kept).

    On the web, where a path may be written as in a page, with `%20` for a space, what is written so stays so.
    """
    if is_web(address):
        parts = urlsplit(address)
        folder = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/", "", ""))
        return folder + quote(path, safe="/%" if ESCAPED.search(path) else "/")
    return f"{address.rstrip('/')}/{path}"


def folder_of(address: str) -> str:
    """The folder that the file at `address` lies in; the user stays, the signature goes: it is the file's own."""
    if is_web(address):
        parts = urlsplit(address)
        return urlunsplit((parts.scheme, parts.netloc, parts.path.rpartition("/")[0] + "/", "", ""))
    head, _, _ = address.rpartition("/")
    return f"{head}/"
