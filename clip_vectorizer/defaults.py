UNQUANTIZED = "none"
DEFAULT_URL = "http://localhost:8080"
DEFAULT_GRPC_PORT = 50051
DEFAULT_VECTORIZER_URL = "http://localhost:9090"
MAX_RESULTS = 10_000  # Weaviate's QUERY_MAXIMUM_RESULTS, offset included
IMAGE_COLLECTION = "Image"
QUANTIZERS = {UNQUANTIZED: 0, "rq-8": 8, "rq-1": 1}  # bits a dimension; 0: 32, as they came
