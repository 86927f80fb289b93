"""HTTP to servers that a user's address names: every connection goes to an address that an AddressGuard has checked.

The check is where the connection is made, below redirects and after DNS: a host is looked up once, and the address that
was checked is the one that is connected to. TLS still checks the certificate for the host's name.
"""

import ssl
from collections.abc import Iterable
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from clip_vectorizer.address_guard import AddressGuard
from clip_vectorizer.errors import InputError

DEFAULT_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)  # httpx's own


class GuardedTransport(httpx.BaseTransport):
    """Sends requests directly, or through the proxy of the environment (HTTPS_PROXY, NO_PROXY, ...) where there is one.

    A proxy looks up names itself, so what it may reach is the proxy's to decide: here only hosts that are numbers or
    local names are refused. The connection to the proxy is not checked. Raises AddressRefused.
    """

    def __init__(self, guard: AddressGuard, verify: ssl.SSLContext, limits: httpx.Limits = DEFAULT_LIMITS) -> None:
        self._guard, self._verify, self._limits = guard, verify, limits
        self._proxies = getproxies()
        self._direct = DirectTransport(guard, verify, limits)
        self._through = {url: self._connect_proxy(url) for url in self._list_proxies()}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode("ascii")
        proxy = self._find_proxy(request.url.scheme, host)
        if proxy is None:
            return self._direct.handle_request(request)
        self._guard.check_unresolved(host)
        return self._through[proxy].handle_request(request)

    def close(self) -> None:
        for transport in (self._direct, *self._through.values()):
            transport.close()

    def _find_proxy(self, scheme: str, host: str) -> str | None:
        proxy = self._proxies.get(scheme) or self._proxies.get("all")
        return None if not proxy or proxy_bypass(host) else add_scheme(proxy)

    def _list_proxies(self) -> set[str]:
        return {add_scheme(url) for scheme in ("http", "https", "all") if (url := self._proxies.get(scheme))}

    def _connect_proxy(self, url: str) -> httpx.HTTPTransport:
        try:
            return httpx.HTTPTransport(verify=self._verify, limits=self._limits, proxy=url)
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise InputError(f"the proxy of the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY): {error}") from None


def add_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


class DirectTransport(httpx.HTTPTransport):
    """httpx's transport on a pool whose connections are checked."""

    def __init__(self, guard: AddressGuard, verify: ssl.SSLContext, limits: httpx.Limits) -> None:
        # Not super().__init__: it has no parameter for the network. Under another name, in a later httpx, the pool
        # would be missing and every request fail, so this cannot end without a check.
        self._pool = httpcore.ConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=GuardedNetwork(guard),
        )


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects to the checked addresses of a host, in turn."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard, self._system = guard, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError(f"{host} has no address")
        for address in self._resolve(host, port):
            try:
                return self._system.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _resolve(self, host: str, port: int) -> Iterable[str]:
        try:
            return self._guard.resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    def sleep(self, seconds: float) -> None:
        self._system.sleep(seconds)
