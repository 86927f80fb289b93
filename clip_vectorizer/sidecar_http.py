"""One HTTP line to a sidecar: credentials, patience, asking again while it is busy, and errors as ours."""

import time
from collections.abc import Sequence
from typing import Any

import httpx

from clip_vectorizer.errors import SidecarRefused, SidecarUnreachable
from clip_vectorizer.protocol import VECTORIZE
from clip_vectorizer.wire import read_address, read_refusal

BUSY_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)  # before asking again after 503
CONNECT_SECONDS = 5.0
STATE_SECONDS = 15.0  # for /meta and ready
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class SidecarHttp:
    """Every method raises SidecarUnreachable when nobody answers and SidecarRefused when the sidecar says no."""

    def __init__(
        self,
        url: str,
        timeout_seconds: float,
        transport: httpx.BaseTransport | None,
        busy_waits_seconds: Sequence[float],
        api_key: str | None,
    ) -> None:
        address = read_address(url)
        self.url = str(address.copy_with(username="", password=""))  # safe to show: no password
        self._timeout_seconds = timeout_seconds
        self._busy_waits_seconds = busy_waits_seconds
        self._http = httpx.Client(
            base_url=self.url,
            auth=(address.username, address.password) if address.userinfo else None,
            headers={"Authorization": f"Bearer {api_key}"} if api_key and not address.userinfo else None,
            transport=transport,
            trust_env=address.host not in LOOPBACK,  # a company's HTTP_PROXY cannot reach this machine's loopback
        )

    def close(self) -> None:
        self._http.close()

    def patiently(self, path: str, **request: Any) -> httpx.Response:
        """As `ask`, by POST; a sidecar that is busy is asked again."""
        for seconds in self._busy_waits_seconds:
            try:
                return self.ask("POST", path, **request)
            except SidecarRefused as refusal:
                if refusal.status != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
            time.sleep(seconds)
        return self.ask("POST", path, **request)

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer, if it is a good one."""
        try:
            response = self._http.request(method, path, timeout=self._timeout(path), **request)
        except httpx.TimeoutException as error:
            raise SidecarUnreachable(f"the sidecar at {self.url} did not answer in time ({_why(error)})") from error
        except httpx.HTTPError as error:
            raise SidecarUnreachable(
                f"no sidecar answers at {self.url} ({_why(error)}); start one with `clip-vectorizer serve`, "
                "or name another with VECTORIZER_URL"
            ) from error
        if not response.is_success:
            raise read_refusal(response, self.url)
        return response

    def _timeout(self, path: str) -> httpx.Timeout:
        """Vectors may have to queue; what a sidecar says of itself never waits behind them."""
        vectors = path.startswith(VECTORIZE)
        patience = self._timeout_seconds if vectors else min(self._timeout_seconds, STATE_SECONDS)
        return httpx.Timeout(patience, connect=min(self._timeout_seconds, CONNECT_SECONDS))


def _why(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
