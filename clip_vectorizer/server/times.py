"""Where the time of one request went, for its answer's headers, the metrics and the log."""

import time
from dataclasses import dataclass, field

STAGES = ("parse", "decode", "queue", "encode", "serialise", "total")
HEADERS = tuple((stage, f"x-{stage}-time".encode()) for stage in STAGES)


@dataclass(slots=True)
class Times:
    """Seconds. Items of one request go side by side: of each stage the longest counts, so stages may overlap."""

    parse: float = 0.0  # from the last byte of the body to texts and files
    decode: float = 0.0  # of a file to the model's pixels, waiting for a thread included
    queue: float = 0.0  # for the model
    encode: float = 0.0  # the pass that the item was in
    serialise: float = 0.0
    total: float = 0.0  # from the last byte of the body to the last of the answer
    start: float = field(default_factory=time.perf_counter)
    texts: int = 0
    images: int = 0
    cached: int = 0  # texts and images whose rows were in the cache

    def since_start(self) -> float:
        return time.perf_counter() - self.start

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`x-parse-time` and so on, in milliseconds, as ASGI takes them."""
        return [(name, b"%.3f" % (getattr(self, stage) * 1000)) for stage, name in HEADERS]

    def milliseconds(self) -> dict[str, float]:
        return {stage: round(getattr(self, stage) * 1000, 3) for stage in STAGES}
