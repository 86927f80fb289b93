"""Which model made a vector: what must agree before vectors may be compared, and how a collection remembers it."""

import json
from dataclasses import asdict, dataclass
from typing import Protocol


class ModelIdentity(Protocol):
    """What `/meta` tells of a model (`ModelInfo`), as far as vectors depend on it."""

    @property
    def model(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def preprocessing(self) -> str: ...


@dataclass(frozen=True, slots=True)
class StoredModel:
    """The model that made a collection's vectors. `model` is what it was called then; the rest decides."""

    model: str
    revision: str
    dimension: int
    preprocessing: str

    @classmethod
    def of(cls, info: ModelIdentity) -> "StoredModel":
        return cls(info.model, info.revision, info.dimension, info.preprocessing)

    @classmethod
    def from_json(cls, text: str | None) -> "StoredModel | None":
        """The model that `text` holds, or None when it was not written by `to_json`."""
        try:
            values = json.loads(text or "")
            return cls(
                str(values["model"]), str(values["revision"]), int(values["dimension"]), str(values["preprocessing"])
            )
        except (ValueError, TypeError, KeyError):
            return None

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    def agrees_with(self, info: ModelIdentity) -> bool:
        """Whether both make the same vectors. Equal revisions are equal weights, whatever name they were loaded by."""
        return self.vector_space == StoredModel.of(info).vector_space

    @property
    def vector_space(self) -> tuple[str, int, str]:
        return self.revision, self.dimension, self.preprocessing

    def __str__(self) -> str:
        return f"{self.model} (revision {self.revision}, {self.dimension} dimensions, {self.preprocessing})"
