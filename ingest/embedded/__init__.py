"""A local Weaviate and sidecar, as child processes: for the demo, for tests, and for a first try without Docker."""

from clip_vectorizer.progress import SILENT, StepProgress
from ingest.embedded.binary import find_weaviate
from ingest.embedded.stack import LocalSidecar, LocalStack
from ingest.embedded.weaviate import LocalWeaviate

__all__ = ["SILENT", "LocalSidecar", "LocalStack", "LocalWeaviate", "StepProgress", "find_weaviate"]
