"""URLs and their parts."""

import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from clip_vectorizer.public_urls import WEB_SCHEMES, strip_secrets

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
PERCENT_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def is_url(word: str) -> bool:
    return URL.match(word) is not None


def parse_scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def is_http(url: str) -> bool:
    return parse_scheme(url) in WEB_SCHEMES


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
