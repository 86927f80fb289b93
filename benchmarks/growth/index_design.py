"""How an index is searched: what can be changed without filling its collection again."""

from dataclasses import dataclass

from weaviate import WeaviateClient
from weaviate.classes.config import Reconfigure

from benchmarks.growth.stored_images import COLLECTION
from clip_vectorizer.database.schema import VECTOR
from clip_vectorizer.defaults import MAX_INDEX_CANDIDATES, MIN_INDEX_CANDIDATES, QUANTIZERS, RESCORED_CANDIDATES


@dataclass(frozen=True, slots=True)
class IndexDesign:
    candidates: int = MIN_INDEX_CANDIDATES  # the least ef
    rescored: int = RESCORED_CANDIDATES

    def __str__(self) -> str:
        return f"ef {self.candidates}, rescore limit {self.rescored}"


def apply_design(client: WeaviateClient, design: IndexDesign, quantizer: str) -> None:
    bits = QUANTIZERS[quantizer]
    rq = Reconfigure.VectorIndex.Quantizer.rq(bits=bits, rescore_limit=design.rescored) if bits else None
    index = Reconfigure.VectorIndex.hnsw(
        dynamic_ef_min=design.candidates, dynamic_ef_max=max(MAX_INDEX_CANDIDATES, design.candidates), quantizer=rq
    )
    client.collections.use(COLLECTION).config.update(
        vector_config=Reconfigure.Vectors.update(name=VECTOR, vector_index_config=index)
    )
