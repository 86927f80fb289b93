"""Forms without files, read within a limit: what a browser sends as application/x-www-form-urlencoded."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from clip_vectorizer.errors import InputError

MAX_FORM_BYTES = 500_000  # 2,000 ids are some 80,000
MAX_FIELDS = 5_000


@dataclass(frozen=True, slots=True)
class FormFields:
    """The fields of a form, in order."""

    pairs: tuple[tuple[str, str], ...]

    def one(self, name: str) -> str:
        """Return the last value of a field, "" without one."""
        return next((value for each, value in reversed(self.pairs) if each == name), "")

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.pairs if each == name]


async def read_fields(request: Request) -> FormFields:
    """Raises InputError for a form that is too large, or of another kind."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise InputError(f"the form came as {kind or 'nothing'}; send application/x-www-form-urlencoded")
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_FORM_BYTES:
                raise InputError(f"the form has more than {MAX_FORM_BYTES:,} bytes; choose fewer images")
    except ClientDisconnect as error:
        raise InputError("the form did not arrive whole; send it again") from error
    try:
        text = body.decode("ascii")
        return FormFields(tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)))
    except ValueError:
        raise InputError("the form cannot be read; send it again from the page") from None
