"""The wire between Weaviate (or our client) and a sidecar: names of routes and fields.

`POST /vectorize` with `{"texts": [...], "images": [...]}` (both optional) answers
`{"textVectors": [[...]], "imageVectors": [[...]]}`, and `{"error": "<sentence>"}` for every failure whatever its
status: Weaviate parses the body before it looks at the status (multi2vec-clip/clients/vectorizer.go).
`warnings`, a list of sentences, comes with an answer that needs one (a text was cut). Weaviate ignores it.
"""

VECTORIZE = "/vectorize"
LIVE = "/.well-known/live"  # 204
READY = "/.well-known/ready"  # 204 once the model answers, else 503
META = "/meta"  # ModelInfo's fields as a JSON object, and `version`
METRICS = "/metrics"  # for Prometheus

TEXTS, IMAGES = "texts", "images"
TEXT_VECTORS, IMAGE_VECTORS = "textVectors", "imageVectors"
ERROR, WARNINGS = "error", "warnings"
