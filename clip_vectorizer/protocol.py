"""The HTTP protocol between Weaviate (or our client) and a sidecar: names of routes and fields.

`POST /vectorize` with `{"texts": [...], "images": [...]}` (both optional) returns
`{"textVectors": [[...]], "imageVectors": [[...]]}`, and `{"error": "<sentence>"}` for every failure, whatever its
status: Weaviate parses the body before it looks at the status (multi2vec-clip/clients/vectorizer.go).

Optional fields, which Weaviate ignores:

- `warnings`, a list of sentences, and `truncated`, an object of index and number of tokens: texts that were truncated;
- with an error, `item`, an object of `field`, `index` and `reason`: the item that the sentence is about;
- with an error, `refused`, an object of index and reason: every image that cannot be read. All others may be sent
  again.

`POST /vectorize/images` accepts files as a form (multipart/form-data) and returns float32 (N, D) in numpy's .npy
format, and failures as above.

`POST /regions` with `{"images": [...], "limit": 10, "vectors": false}` returns `{"regions": [{"boxes": [[x0, y0, x1,
y1]], "objectness": [...]}]}`, one entry for each image: shares of the upright picture's sides, the most object-like
first; with `vectors` also `"vectors": [[...]]`, those of the crops in the space of the images.
`POST /ground` with `{"image": "...", "phrases": [["a prompt", "another"]]}` returns `{"boxes": [...], "objectness":
[...], "similarities": [[...]], "probabilities": [[...]]}`, one row for each phrase, with `warnings` and `truncated` for
phrases that were truncated. Both answer 501 where the sidecar has no grounder for them.
Instead of `image`, `POST /ground` accepts regions that were found before: `"regions": {"vectors": [[...]],
"objectness": [...]}`, vectors of crops in the space of the images, of any length, and the objectness of each, or null
where it is not known; without the field none is. The response has no `boxes` and no `objectness`. It needs no grounder.

`POST /caption` with `{"images": [...]}` returns `{"captions": ["..."]}`, a sentence for each image, and 501 where the
sidecar has no captioner.

`POST /v1/embeddings` is OpenAI's; its `error` is an object, as OpenAI's clients expect.
"""

VECTORIZE = "/vectorize"
VECTORIZE_IMAGES = "/vectorize/images"
REGIONS, GROUND, CAPTION = "/regions", "/ground", "/caption"
LIVE = "/.well-known/live"  # 204
READY = "/.well-known/ready"  # 204 once a model is loaded, else 503
META = "/meta"  # ModelInfo's fields as a JSON object, `grounder`, `captioner`, `version`, `limits` and `routes`
METRICS = "/metrics"  # for Prometheus
EMBEDDINGS, MODELS = "/v1/embeddings", "/v1/models"
MODEL = MODELS + "/{model}"  # the rest of the path, slashes included: names of models have them
OPENAPI = "/openapi.json"

TEXTS, IMAGES = "texts", "images"
IMAGE, PHRASES, LIMIT, VECTORS = "image", "phrases", "limit", "vectors"
TEXT_VECTORS, IMAGE_VECTORS = "textVectors", "imageVectors"
REGION_LISTS, BOXES, OBJECTNESS = "regions", "boxes", "objectness"
GIVEN_REGIONS = "regions"  # of a request: vectors and objectness
SIMILARITIES, PROBABILITIES = "similarities", "probabilities"
CAPTIONS = "captions"
GROUNDER = "grounder"  # of /meta: what finds regions, or null
CAPTIONER = "captioner"  # of /meta: what writes captions, or null
ERROR, WARNINGS, REFUSED, ITEM, TRUNCATED = "error", "warnings", "refused", "item", "truncated"

NPY = "application/x-npy"
TRY_AGAIN = "try again in a moment"
BASE64_HINT = "; send base64 of a "  # ends the reason for an unreadable image of `POST /vectorize`


def format_loading(model: str) -> str:
    """The sentence of a 503 before the model is loaded.

    >>> format_loading("emoji"), is_loading("status 503: loading emoji; try again in a moment")
    ('loading emoji; try again in a moment', True)
    """
    return f"loading {model}; {TRY_AGAIN}"


def is_loading(reason: str) -> bool:
    """Whether an error, possibly with Weaviate's text around it, is that of a sidecar whose model is not loaded yet."""
    before, mark, _ = reason.partition(TRY_AGAIN)
    return bool(mark) and "loading " in before


def format_truncated(field: str, index: int, tokens: int) -> str:
    """The warning for a text of which the model reads `tokens` tokens.

    >>> format_truncated("texts", 2, 77)
    'texts[2]: longer than the 77 tokens that the model reads; the rest was cut'
    """
    return f"{field}[{index}]: longer than the {tokens} tokens that the model reads; the rest was cut"


def parse_image_problem(sentence: str) -> str:
    """What is wrong with a file, from the sentence of an error of `POST /vectorize`.

    For the one channel that carries a sentence and no `item`: Weaviate passes on `error` alone.

    >>> parse_image_problem("images[0]: 0 bytes; send base64 of a JPEG or PNG file")
    '0 bytes; it must be a JPEG or PNG file'
    >>> parse_image_problem("the queue is full")
    'the queue is full'
    """
    position, colon, reason = sentence.partition(": ")
    if not colon or not position.startswith(f"{IMAGES}["):
        return sentence
    problem, hint, formats = reason.rpartition(BASE64_HINT)
    return f"{problem}; it must be a {formats}" if hint else reason
