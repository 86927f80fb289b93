"""HTTP Basic, the one way in which Weaviate can authenticate: `http://user:password@host` in CLIP_INFERENCE_API."""

import base64
import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from clip_vectorizer.protocol import ERROR, LIVE, READY

OPEN = (LIVE, READY)  # probes of an orchestrator carry no password
REFUSAL = "this sidecar asks for a user and a password; put them into its address: http://user:password@host"


class BasicAuth:
    def __init__(self, app: ASGIApp, credentials: str) -> None:
        """`credentials` as `user:password`."""
        self._app = app
        self._expected = b"Basic " + base64.b64encode(credentials.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN or self._allows(Headers(scope=scope)):
            await self._app(scope, receive, send)
        else:
            await JSONResponse({ERROR: REFUSAL}, 401, {"WWW-Authenticate": "Basic"})(scope, receive, send)

    def _allows(self, headers: Headers) -> bool:
        return hmac.compare_digest(headers.get("authorization", "").encode(), self._expected)
