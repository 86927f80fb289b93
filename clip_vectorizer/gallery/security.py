"""What a page on loopback needs against other pages in the same browser, and a page on a network against strangers.

- DNS rebinding: a foreign page whose name changes its address to ours is "same origin" to the browser. Only the Host
  header gives it away, so it must be one that we know.
- Cross-site requests: methods that change something need Sec-Fetch-Site same-origin or none, or in old browsers an
  Origin that is our own. Programs send neither and pass.
- What a caption or a file name may contain: no script, style, frame or form of another origin is allowed.
"""

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SAME_SITE = ("same-origin", "none")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
OPEN_PATHS = ("/ready",)  # a probe carries no password


class GalleryGuard:
    """ASGI middleware in front of every path: Host 421, cross-site 403, password 401, and the headers of responses."""

    def __init__(
        self, app: ASGIApp, allowed_hosts: Collection[str], password: str | None, by_number: bool = False
    ) -> None:
        """`allowed_hosts`: names without a port, besides those of loopback; `by_number`: and any numeric address, which
        no name of another page can turn into.
        """
        self.app = app
        self.hosts = frozenset(name.lower() for name in (*LOCAL_HOSTS, *allowed_hosts))
        self.password, self.by_number = password, by_number

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        refusal = self._refuse(scope["method"], scope["path"], Headers(scope=scope), scope.get("scheme", "http"))
        await (refusal or self.app)(scope, receive, send_guarded)

    def _refuse(self, method: str, path: str, headers: Headers, scheme: str) -> PlainTextResponse | None:
        host = headers.get("host", "")
        name = read_host(host)
        if name not in self.hosts and not (self.by_number and is_number(name)):
            return PlainTextResponse(
                f"this gallery is not called {host[:200]!r}; open it by the address that it printed, or start it with "
                "--allowed-host NAME\n",
                421,
            )
        if method not in SAFE_METHODS and not is_same_site(headers, f"{scheme}://{host}"):
            return PlainTextResponse("this request came from another site; use the page itself\n", 403)
        if self.password is not None and path not in OPEN_PATHS and not self._knows_password(headers):
            realm = {"WWW-Authenticate": 'Basic realm="clip-gallery", charset="UTF-8"'}
            return PlainTextResponse("this gallery has a password; any user name will do\n", 401, realm)
        return None

    def _knows_password(self, headers: Headers) -> bool:
        return hmac.compare_digest(read_password(headers).encode(), (self.password or "").encode())


def read_host(header: str) -> str:
    """Return the name without the port, "" for none.

    >>> read_host("LOCALHOST:8090"), read_host("[::1]:80"), read_host("evil.example"), read_host("a@localhost")
    ('localhost', '::1', 'evil.example', '')
    """
    try:
        parts = urlsplit(f"//{header}")
        return "" if "@" in header or parts.path or parts.query or "#" in header else (parts.hostname or "")
    except ValueError:
        return ""


def is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_same_site(headers: Mapping[str, str], origin: str) -> bool:
    """Whether a request may change something. `origin`: ours."""
    if site := headers.get("sec-fetch-site"):
        return site in SAME_SITE
    return headers.get("origin", origin) == origin


def read_password(headers: Mapping[str, str]) -> str:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
