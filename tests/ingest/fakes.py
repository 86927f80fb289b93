"""A store in memory that obeys ImageStore, and files to feed it."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from clip_vectorizer.errors import SidecarUnreachable
from ingest.items import Fingerprint, ImageObject
from ingest.store import Refusal


class FakeStore:
    """Holds what it takes. `refuse` says which objects it does not; the first `away` puts find nobody."""

    def __init__(self, refuse: Callable[[ImageObject], Refusal | None] = lambda _: None, away: int = 0) -> None:
        self.model = "fake"
        self.objects: dict[str, ImageObject] = {}
        self.batches: list[list[str]] = []
        self.lookups = 0
        self._refuse, self._away = refuse, away

    def held(self, keys: Sequence[str]) -> Mapping[str, Fingerprint]:
        self.lookups += 1
        return {key: self.objects[key].fingerprint for key in keys if key in self.objects}

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        if self._away:
            self._away -= 1
            raise SidecarUnreachable("nobody there")
        self.batches.append([item.key for item in objects])
        refused = {item.key: refusal for item in objects if (refusal := self._refuse(item))}
        self.objects |= {item.key: item for item in objects if item.key not in refused}
        return refused

    def forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)


class ForgetfulStore(FakeStore):
    """Says that all is well and loses `lost`, the first `times` that it is sent."""

    def __init__(self, lost: str, times: int) -> None:
        super().__init__()
        self._lost, self._times = lost, times

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        answer = super().put(objects)
        if self._times and self.objects.pop(self._lost, None):
            self._times -= 1
        return answer


def png(colour: tuple[int, int, int] = (200, 10, 10), side: int = 8) -> bytes:
    return encoded(Image.new("RGB", (side, side), colour), "PNG")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def write(file: Path, data: bytes | str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return file
