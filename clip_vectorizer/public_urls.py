"""The public form of URLs, without passwords and signatures: what may be shown, logged and stored."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

WEB_SCHEMES = ("http", "https")
# Signed URLs: Amazon's and Google's new and old, CloudFront's, Azure's, and the usual names of keys.
SIGNATURE_FIELD = re.compile(
    r"x-(amz|goog|oss|cos|obs|tos)-.*|awsaccesskeyid|ossaccesskeyid|googleaccessid|signature|expires|policy|key-pair-id"
    r"|s(ig|v|e|p|r|t|pr|ip|koid|ktid|kt|ke|ks|kv)|.*(token|secret|password|passwd|api_?key|access_?key|auth).*",
    re.IGNORECASE,
)
# Azure's names are short and may mean other things: they count as a signature only together with its `sig`.
AZURE_FIELD = re.compile(r"s(v|e|p|r|t|pr|ip|koid|ktid|kt|ke|ks|kv)", re.IGNORECASE)
USER = re.compile(r"//[^/\s]*@")


def strip_secrets(url: str) -> str:
    """Return the URL without user, password, fragment and signature; the rest of the query identifies the image.

    Only HTTP URLs have queries: in a bucket, `?` and `#` are part of a name.
    """
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in WEB_SCHEMES:
        return f"{scheme.lower()}://{strip_user(rest)}"
    parts = urlsplit(url)
    host = strip_user(parts.netloc).lower()
    return urlunsplit((scheme.lower(), host, parts.path, strip_signature(parts.query), ""))


def mask_user(url: str) -> str:
    """Return a text that may be no valid URL, without what looks like user and password.

    >>> mask_user("http://me:secret@host:port")
    'http://***@host:port'
    """
    return USER.sub("//***@", url)


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
