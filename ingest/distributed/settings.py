"""How an ingest is spread over a cluster."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RaySettings:
    """The readers are as many as the cluster has CPUs left; the others are told here."""

    address: str | None = None  # of a cluster; None or "local": what this process has started, else one on this machine
    cpus: int | None = None  # of one on this machine
    parts: int = 8  # how often folders and tables are listed, each time for another part of their images
    embedders: int = 2
    vectorizer_urls: tuple[str, ...] = ()  # of sidecars, asked in turn; none: the job's
    model: str | None = None  # instead: each embedder starts a sidecar of its own with it
    gpus: float = 0.0  # for each embedder that has a sidecar of its own
    writers: int = 2
