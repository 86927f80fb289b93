"""The same ingest on many machines, by Ray Data: `pip install clip-vectorizer[ray]`.

    from ingest.distributed import RaySettings, ingest_with_ray

Nothing here imports Ray until it is used.
"""

from ingest.distributed.cluster import RaySettings
from ingest.distributed.driver import ingest_with_ray, run_with_ray

__all__ = ["RaySettings", "ingest_with_ray", "run_with_ray"]
