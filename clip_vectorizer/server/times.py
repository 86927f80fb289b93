"""Where the time of one request went, for its answer's headers and the log."""

import time
from dataclasses import dataclass, field


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

    def since_start(self) -> float:
        return time.perf_counter() - self.start

    def headers(self) -> dict[str, str]:
        """`x-parse-time` and so on, in milliseconds."""
        return {f"x-{stage}-time": f"{seconds * 1000:.3f}" for stage, seconds in self.stages().items()}

    def stages(self) -> dict[str, float]:
        self.total = self.since_start()
        names = ("parse", "decode", "queue", "encode", "serialise", "total")
        return {name: getattr(self, name) for name in names}
