"""The options of `clip-vectorizer train linear-probe`. Imports no torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clip_vectorizer.defaults import DEFAULT_GRPC_PORT, DEFAULT_URL
from clip_vectorizer.errors import InputError


@dataclass(frozen=True, slots=True)
class ProbePlan:
    source: Path
    output: Path
    model: str
    architecture: str = ""  # of a checkpoint file
    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"
    test: Path | None = None  # a source of its own
    test_share: float = 0.2  # of each label's images, without `test`
    seed: int = 0
    path_column: str = ""
    label_column: str = ""  # of a table, or a property of a collection
    tenant: str | None = None
    weaviate_url: str = DEFAULT_URL
    weaviate_grpc_port: int = DEFAULT_GRPC_PORT
    weaviate_api_key: str | None = field(default=None, repr=False)

    def check_output(self) -> None:
        """Raises InputError for a file that exists, or whose name is not that of a probe."""
        if self.output.suffix != ".npz":
            raise InputError(f"--output {self.output}: a probe's file ends in .npz")
        if self.output.exists():
            raise InputError(f"{self.output} exists; name another --output, or remove it")
