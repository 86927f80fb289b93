"""Defaults and limits that the commands and the library share. Imports nothing: `--help` reads this module."""

DEFAULT_URL = "http://localhost:8080"
DEFAULT_GRPC_PORT = 50051
DEFAULT_VECTORIZER_URL = "http://localhost:9090"
IMAGE_COLLECTION = "Image"
PRODUCTION_MODEL = "ViT-B-32-256::datacomp_s34b_b86k"  # why: docs/models.md; a test compares it with the figures
STDIN = "-"  # in the place of a file's name

UNQUANTIZED = "none"
QUANTIZERS = {UNQUANTIZED: 0, "rq-8": 8, "rq-1": 1}  # bits per dimension; 0: 32, uncompressed
BACKUP_BACKENDS = ("filesystem", "s3", "gcs", "azure")  # where Weaviate's backup modules write
MEASURED_QUANTIZERS = (*QUANTIZERS, "pq")  # of `clip-eval index`
# Texts lie apart from all images, where the graph was not built for them: among a million, Weaviate's minimum of 100
# candidates misses a third of a text's ten nearest, 400 a sixth, 800 a tenth, a millisecond later (benchmarks/growth,
# designs). Eight per result is Weaviate's own rule between these two.
MIN_INDEX_CANDIDATES, MAX_INDEX_CANDIDATES = 800, 1000
# Of the candidates of an 8-bit index, so many are compared again with the vectors on disk. Weaviate's own 20 holds for
# up to 20 results; for more, all candidates are read (benchmarks/growth, designs).
RESCORED_CANDIDATES = 100

MAX_RESULTS = 10_000  # Weaviate's QUERY_MAXIMUM_RESULTS, offset included
