"""The body of POST /v1/embeddings: which items are texts, which are images, and what is refused.

The fields of images are those of jina (`{"image": ...}`) and infinity (`modality`). A text that is plainly an image is
refused and not embedded as letters: no client of OpenAI's shows a warning.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import pybase64

from clip_vectorizer.errors import BadRequest, ItemProblem, NotServed
from clip_vectorizer.models.encoder import ModelInfo
from clip_vectorizer.protocol import TEXTS
from clip_vectorizer.server.codec import (
    EmbedInputs,
    check_body_size,
    check_item_count,
    decode_image_field,
    describe_json_error,
    find_type_error,
)
from clip_vectorizer.server.limits import Limits

INPUT = "input"  # the field of all items
INPUT_HINT = (
    '"input" is a text, an image as `data:image/...;base64,...`, {"text": ...}, {"image": ...}, or a list of these'
)
TOKENS = re.compile(r"input\[\d+\](\[\d+\])?")  # where a client that sends tokens has numbers or lists
TOKENS_HINT = "; numbers of tokens mean nothing to another tokenizer (LangChain: check_embedding_ctx_length=False)"
COUNT_HINT = " (LangChain: chunk_size, LlamaIndex: embed_batch_size)"
UNKNOWN_FIELD = re.compile(r"unknown field `(?P<name>.*?)`(?: - at `\$\.?(?P<place>[^`]*)`)?$", re.DOTALL)
BODY_FIELDS = "input, model, encoding_format, dimensions, user and modality"
Modality = Literal["text", "image"]
MODALITIES: tuple[Modality, ...] = ("text", "image")

DATA_URI = re.compile(r"\s{0,9}data:(?P<type>[^,;\s]{0,99})[^,\s]{0,99};base64,", re.IGNORECASE)
ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]{1,9}://\S+\s*", re.IGNORECASE)
IMAGE_ADDRESS = re.compile(r"[^?#]+\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|hei[cf]|jxl|svg)([?#].*)?", re.IGNORECASE)
BASE64_HEAD = re.compile(r"\s*([A-Za-z0-9+/_-]{48})")  # the smallest GIF has as many letters
URL_SAFE = str.maketrans("-_", "+/")
IMAGE_SIGNATURES = re.compile(  # of all kinds of images, also those that are not read here
    rb"(?P<jpeg>\xff\xd8\xff)|(?P<png>\x89PNG\r\n\x1a\n)|(?P<gif>GIF8[79]a)|(?P<webp>RIFF.{4}WEBP)"
    rb"|(?P<bmp>BM.{4}\0{4}..\0\0)|(?P<tiff>II[*+]\0|MM\0[*+])|(?P<jxl>\0\0\0\x0cJXL )"
    rb"|....ftyp(?:(?P<avif>avi[fs])|(?P<heic>he[ivx][cmsx]|mif1|msf1))",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class OpenAIRequest:
    """`texts_at` and `images_at`: the index in the request's `input` of each text and image of `inputs`."""

    inputs: EmbedInputs
    texts_at: list[int]
    images_at: list[int]
    base64: bool
    warnings: list[str] = field(default_factory=list)

    def locate(self, name: str, index: int) -> tuple[str, int]:
        """The position in the request's body of an item of `inputs`."""
        return INPUT, (self.texts_at if name == TEXTS else self.images_at)[index]


class OpenAIItem(msgspec.Struct, forbid_unknown_fields=True):
    text: str | None = None
    image: str | None = None


class OpenAIBody(msgspec.Struct, forbid_unknown_fields=True):
    """`user` is for OpenAI's own statistics and changes no vector."""

    input: str | OpenAIItem | list[str | OpenAIItem]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    modality: str | None = None
    user: Any = None


OPENAI_DECODER = msgspec.json.Decoder(OpenAIBody)


def parse_request(body: bytes, limits: Limits, info: ModelInfo) -> OpenAIRequest:
    """Raises BadRequest, TooLarge, and NotServed for a model that is not served here."""
    check_body_size(body, limits)
    try:
        fields = OPENAI_DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(describe_body_error(error, body)) from error
    check_model_name(fields.model, info.model)
    if fields.dimensions not in (None, info.dimension):
        raise BadRequest(f"dimensions is {fields.dimensions}, but {info.model} gives {info.dimension}: leave it out")
    modality = parse_modality(fields.modality)
    items = fields.input if isinstance(fields.input, list) else [fields.input]
    if not items:
        raise BadRequest(f"input is an empty list; {INPUT_HINT}")
    return split_items(items, modality, fields.encoding_format == "base64", limits)


def describe_body_error(error: Exception, body: bytes) -> str:
    """The msgspec error for a body that cannot be decoded, in the words of the request."""
    if unknown := UNKNOWN_FIELD.search(str(error)):
        name, place = unknown["name"][:100], unknown["place"]
        return f"{place}: the field {name!r} is unknown; {INPUT_HINT}" if place else describe_unknown_field(name)
    if "missing required field" in str(error):
        return f"there is no input; {INPUT_HINT}"
    if "Invalid enum value" in str(error):
        return "encoding_format is neither float nor base64"
    found = find_type_error(error)
    if found and found.place and not found.place.startswith(INPUT):
        return f"{found.place} is {found.kind}; leave it out"
    tokens = found and TOKENS.fullmatch(found.place) and found.kind in ("a number", "a list")
    return f"{describe_json_error(error, body)}{TOKENS_HINT if tokens else ''}; {INPUT_HINT}"


def describe_unknown_field(name: str) -> str:
    return f"the field {name!r} is unknown, and nothing here would obey it: leave it out; the fields are {BODY_FIELDS}"


def check_model_name(requested: str | None, served: str) -> None:
    """Accepts the name as it is, its last part, and other spellings of punctuation and capitals. Raises NotServed."""
    names = {
        normalize_name(served),
        normalize_name(re.split(r"[/\\]", served)[-1]),
        normalize_name(served.partition(":")[2].lstrip(":")),
    } - {""}
    if requested is not None and normalize_name(requested) not in names:
        raise NotServed(404, f"the model {requested[:100]!r} is not served here; this sidecar has {served!r}")


def normalize_name(name: str) -> str:
    """
    >>> normalize_name("OpenAI/ViT-B_32")
    'openaivitb32'
    """
    return re.sub(r"[^\w]|_", "", name).lower()


def parse_modality(name: str | None) -> Modality | None:
    """Raises BadRequest."""
    if name is None:
        return None
    found = next((each for each in MODALITIES if each == name), None)
    if found is None:
        raise BadRequest(f"modality is {name[:100]!r}; this model embeds texts and images: send text or image")
    return found


def split_items(
    items: list[str | OpenAIItem], modality: Modality | None, base64: bool, limits: Limits
) -> OpenAIRequest:
    """Texts and images apart, each with its index in the request. Raises BadRequest, TooLarge."""
    check_item_count(len(items), 0, limits, COUNT_HINT)
    texts, images, warnings = {}, {}, []
    for index, item in enumerate(items):
        text, image = read_item(item, index, modality)
        if image is not None:
            images[index] = image
            continue
        texts[index] = text or ""
        if odd := describe_odd_text(texts[index]):
            warnings.append(f"{INPUT}[{index}]: {odd}, and was embedded as the text that it is")
    check_item_count(len(texts), len(images), limits, COUNT_HINT)
    inputs = EmbedInputs(list(texts.values()), [decode_image_field(image) for image in images.values()])
    return OpenAIRequest(inputs, list(texts), list(images), base64, warnings)


def read_item(item: str | OpenAIItem, index: int, modality: Modality | None) -> tuple[str | None, str | None]:
    """A text or an image; the other one is None. Raises BadRequest."""
    if isinstance(item, str):
        return read_string(item, index, modality)
    if (item.text is None) == (item.image is None):
        raise refuse_item(index, f"{'no' if item.text is None else 'both a'} text and image; {INPUT_HINT}")
    kind = "text" if item.image is None else "image"
    if modality not in (None, kind):
        raise refuse_item(index, f'{{"{kind}": ...}}, but modality is {modality}: leave modality out')
    return item.text, item.image


def read_string(item: str, index: int, modality: Modality | None) -> tuple[str | None, str | None]:
    if modality == "text":
        return item, None
    if modality == "image" or is_image_uri(item):
        return None, item
    if plain := describe_plain_image(item):
        raise refuse_item(index, plain)
    return item, None


def refuse_item(index: int, reason: str) -> BadRequest:
    problem = ItemProblem(INPUT, index, reason)
    error = BadRequest(str(problem))
    error.problem = problem
    return error


def is_image_uri(text: str) -> bool:
    """Whether it is `data:image/...`, or base64 of an image under another type."""
    found = DATA_URI.match(text)
    if text[:11].lower() == "data:image/":
        return True
    return bool(found and (found["type"].lower().startswith("image/") or name_format(text[found.end() :])))


def describe_plain_image(text: str) -> str:
    """What is plainly no text, and what to send instead; "" for a text.

    >>> describe_plain_image("a photo of an owl")
    ''
    >>> describe_plain_image("https://example.com/owl.jpg")[:26]
    'the address of an image, w'
    """
    if ADDRESS.fullmatch(text) and IMAGE_ADDRESS.fullmatch(text.strip()):
        return (
            "the address of an image, which is not fetched: send the file as `data:image/...;base64,...`; "
            'to embed the address itself as a text, send {"text": ...} or modality text'
        )
    if kind := name_format(text):
        return (
            f"base64 of an image ({kind.upper()}): send modality image, or it as `data:image/{kind};base64,...`; "
            'to embed its letters as a text, send {"text": ...} or modality text'
        )
    if uri := DATA_URI.match(text):
        return f"a data URI of {uri['type'] or 'no type'}, not of an image; this model embeds texts and images"
    return ""


def describe_odd_text(text: str) -> str:
    """What a text that is embedded may have been meant as; "" where nothing is odd."""
    if is_image_uri(text) or name_format(text):
        return "looks like an image"
    return "is an address, which is not fetched" if ADDRESS.fullmatch(text) else ""


def name_format(text: str) -> str:
    """The format of an image file in base64, by its first letters; "" for all else.

    >>> name_format("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk")
    'png'
    """
    found = BASE64_HEAD.match(text)
    if not found:
        return ""
    image = IMAGE_SIGNATURES.match(pybase64.b64decode(found[1].translate(URL_SAFE)))
    return (image.lastgroup or "") if image else ""
