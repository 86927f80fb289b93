"""URLs: their parts, and their public form without passwords and signatures, which may be shown and stored."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# Signed URLs: Amazon's and Google's new and old, CloudFront's, Azure's, and the usual names of keys.
SIGNATURE_FIELD = re.compile(
    r"x-(amz|goog|oss|cos|obs|tos)-.*|awsaccesskeyid|ossaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id"
    r"|s(ig|v|e|p|r|t|pr|ip|koid|ktid|kt|ke|ks|kv)|.*(token|secret|password|passwd|api_?key|access_?key|auth).*",
    re.IGNORECASE,
)
# Azure's names are short and may mean other things: they count as a signature only together with its `sig`.
AZURE_FIELD = re.compile(r"s(v|e|p|r|t|pr|ip|koid|ktid|kt|ke|ks|kv)", re.IGNORECASE)
WEB_SCHEMES = ("http", "https")
PERCENT_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def is_url(word: str) -> bool:
    return URL.match(word) is not None


def parse_scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def is_http(url: str) -> bool:
    return parse_scheme(url) in WEB_SCHEMES


def strip_secrets(url: str) -> str:
    """Return the URL without user, password, fragment and signature; the rest of the query identifies the image.

    Only HTTP URLs have queries: in a bucket, `?` and `#` are part of a name.
    """
    scheme, _, rest = url.partition("://")
    if not is_http(url):
        return f"{scheme.lower()}://{strip_user(rest)}"
    parts = urlsplit(url)
    host = strip_user(parts.netloc).lower()
    return urlunsplit((scheme.lower(), host, parts.path, strip_signature(parts.query), ""))


def strip_user(rest: str) -> str:
    host, slash, path = rest.partition("/")
    return host.rpartition("@")[2] + slash + path


def strip_signature(query: str) -> str:
    """Return the query without its signature; unchanged where it has none."""
    fields = parse_qsl(query, keep_blank_values=True)
    names = {name.lower() for name, _ in fields}
    kept = [field for field in fields if not is_signature(field[0], names)]
    return query if len(kept) == len(fields) else urlencode(kept)


def is_signature(name: str, names: Iterable[str]) -> bool:
    if AZURE_FIELD.fullmatch(name):
        return "sig" in names
    return SIGNATURE_FIELD.fullmatch(name) is not None


def parse_base_name(url: str) -> str:
    """Return the last part of the path, decoded."""
    path = strip_secrets(url).partition("://")[2]
    name = (urlsplit(strip_secrets(url)).path if is_http(url) else path).rstrip("/").rpartition("/")[2]
    return unquote(name) if is_http(url) else name


def join_url(url: str, path: str) -> str:
    """Return the URL of `path` in the folder `url`, whose query is dropped.

    A path that has percent escapes already, as links in web pages do, is not escaped again.
    """
    if is_http(url):
        parts = urlsplit(url)
        folder = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/", "", ""))
        return folder + quote(path, safe="/%" if PERCENT_ESCAPE.search(path) else "/")
    return f"{url.rstrip('/')}/{path}"


def parent_url(url: str) -> str:
    """Return the URL of a file's folder, with its user but without its signature, which is valid for the file only."""
    if is_http(url):
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc, parts.path.rpartition("/")[0] + "/", "", ""))
    head, _, _ = url.rpartition("/")
    return f"{head}/"
