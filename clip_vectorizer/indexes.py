"""How the images of a collection are indexed: HNSW by cosine, searched widely enough for texts among images."""

from weaviate.classes.config import Configure, Reconfigure, VectorDistances
from weaviate.collections.classes.config_vector_index import _VectorIndexConfigHNSWCreate
from weaviate.collections.config import _ConfigCollection

from clip_vectorizer.collections import UNQUANTIZED, Stored

QUANTIZERS = {UNQUANTIZED: 0, "rq-8": 8, "rq-1": 1}  # bits a dimension; 0: 32, as they came

# Texts lie apart from all images, where the graph was not built for them: with Weaviate's least of 100 candidates one
# in twenty of a text's ten nearest was missed among 100,000, with 400 one in a hundred, a millisecond later
# (benchmarks/search). Eight a result is Weaviate's own rule between these two.
LEAST_CANDIDATES, MOST_CANDIDATES = 400, 1000


def index_of(quantizer: str | None) -> _VectorIndexConfigHNSWCreate:
    """`quantizer`: of QUANTIZERS; None or another one: none."""
    bits = QUANTIZERS.get(quantizer or UNQUANTIZED, 0)
    return Configure.VectorIndex.hnsw(
        distance_metric=VectorDistances.COSINE,
        dynamic_ef_min=LEAST_CANDIDATES,
        dynamic_ef_max=MOST_CANDIDATES,
        quantizer=Configure.VectorIndex.Quantizer.rq(bits=bits) if bits else None,
    )


def quantize(config: _ConfigCollection, stored: Stored, quantizer: str) -> None:
    """Weaviate does it in the background, while it is searched."""
    index = Reconfigure.VectorIndex.hnsw(quantizer=Reconfigure.VectorIndex.Quantizer.rq(bits=QUANTIZERS[quantizer]))
    config.update(vector_config=Reconfigure.Vectors.update(name=stored.description.vector, vector_index_config=index))
