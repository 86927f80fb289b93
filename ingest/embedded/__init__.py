"""A local Weaviate and sidecar, for the demo, the tests and whoever has neither."""

from ingest.embedded.locate import find_weaviate
from ingest.embedded.progress import QUIET, Progress
from ingest.embedded.sidecar import LocalSidecar
from ingest.embedded.stack import LocalStack
from ingest.embedded.weaviate import LocalWeaviate

__all__ = ["QUIET", "LocalSidecar", "LocalStack", "LocalWeaviate", "Progress", "find_weaviate"]
