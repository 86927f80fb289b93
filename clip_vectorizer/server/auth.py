"""Who may ask: by HTTP Basic, all that Weaviate can send (`http://user:password@host` as its address), or by a key."""

import base64
import hmac
from collections.abc import Sequence

from clip_vectorizer.errors import Unauthorised
from clip_vectorizer.protocol import LIVE, READY

OPEN = (LIVE, READY)  # probes of an orchestrator carry no password
REFUSAL = "this sidecar asks for a password or a key; {}"
BASIC = "put the password into the address (http://user:password@host)"
BEARER = "send a key as `Authorization: Bearer KEY` (our own commands take it from VECTORIZER_API_KEY)"


class Keys:
    """What opens: `user:password` by HTTP Basic, any of the keys as a bearer. Open where there is neither."""

    def __init__(self, basic: str, bearers: Sequence[str]) -> None:
        ways = [way for way, wanted in ((BASIC, basic), (BEARER, bearers)) if wanted]
        self.sentence = REFUSAL.format(", or ".join(ways))
        self.challenges = [b"Basic"] * bool(basic) + [b"Bearer"] * bool(bearers)
        self._basic = [base64.b64encode(basic.encode())] if basic else []
        self._bearers = [key.encode() for key in bearers]

    def check(self, path: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Raises Unauthorised."""
        if self.challenges and path not in OPEN and not self._opens(dict(headers).get(b"authorization", b"")):
            raise Unauthorised(self.sentence)

    def _opens(self, authorization: bytes) -> bool:
        scheme, _, secret = authorization.partition(b" ")
        wanted = {b"basic": self._basic, b"bearer": self._bearers}.get(scheme.lower(), [])
        found = [hmac.compare_digest(secret.strip(), each) for each in wanted]  # all of them: time tells nothing
        return any(found)
