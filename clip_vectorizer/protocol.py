"""The wire between Weaviate (or our client) and a sidecar: names of routes and fields.

`POST /vectorize` with `{"texts": [...], "images": [...]}` (both optional) answers
`{"textVectors": [[...]], "imageVectors": [[...]]}`, and `{"error": "<sentence>"}` for every failure whatever its
status: Weaviate parses the body before it looks at the status (multi2vec-clip/clients/vectorizer.go).
`warnings`, a list of sentences, comes with an answer that needs one (a text was cut). `refused`, an object of index and
reason, comes with an error where single images cannot be read: the others may be sent again. Weaviate ignores both.

`POST /vectorize/images` takes files as a form (multipart/form-data), answers float32 (N, D) in numpy's .npy format, and
failures as above. `POST /v1/embeddings` is OpenAI's; there `error` is an object, as OpenAI's clients expect.
"""

VECTORIZE = "/vectorize"
VECTORIZE_IMAGES = "/vectorize/images"
LIVE = "/.well-known/live"  # 204
READY = "/.well-known/ready"  # 204 once the model answers, else 503
META = "/meta"  # ModelInfo's fields as a JSON object, `version`, `limits` and `routes`
METRICS = "/metrics"  # for Prometheus
EMBEDDINGS, MODELS = "/v1/embeddings", "/v1/models"
OPENAPI = "/openapi.json"

TEXTS, IMAGES = "texts", "images"
TEXT_VECTORS, IMAGE_VECTORS = "textVectors", "imageVectors"
ERROR, WARNINGS, REFUSED = "error", "warnings", "refused"

NPY = "application/x-npy"
