"""Questions about pictures, answered by a language model that Weaviate's generative modules call with the picture.

Each image is a call of its own: one that the model fails at spoils no other, and each has its own time limit.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from weaviate.classes.generate import GenerativeConfig, GenerativeParameters
from weaviate.classes.query import Filter
from weaviate.collections.classes.generative import GenerativeConfigRuntime

from clip_vectorizer.database.schema import PATH, THUMBNAIL
from clip_vectorizer.errors import InputError, Unreachable, VectorizerError
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.query.captions.captioned import choose_picture
from clip_vectorizer.query.hits import Hit, StoredImage
from clip_vectorizer.query.prompts import normalize_text
from clip_vectorizer.query.search.arguments import SearchArguments, SearchRequest, check_limits
from clip_vectorizer.query.search.calls import SearchFlow, SearchTarget, WeaviateCall

logger = logging.getLogger(__name__)

PREFIX = "generative-"  # of the names of Weaviate's modules
ProviderInput = str | GenerativeConfigRuntime | None
# Those of Weaviate's modules that read pictures. The others refuse them.
PROVIDERS: Mapping[str, Callable[[], GenerativeConfigRuntime]] = {
    "anthropic": GenerativeConfig.anthropic,
    "cohere": GenerativeConfig.cohere,
    "google": GenerativeConfig.google_gemini,
    "ollama": GenerativeConfig.ollama,
    "openai": GenerativeConfig.openai,
    "xai": GenerativeConfig.xai,
}
ALSO_READ_PICTURES = ("aws", "meta")  # with settings of their own: give them as weaviate-client's GenerativeConfig


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model answered about one image, or why it did not."""

    path: str
    id: str
    text: str
    similarity: float | None  # of the search that found the image; None without a search
    error: str = ""


@dataclass(frozen=True, slots=True)
class PictureQuestion:
    """A question that can be asked of any image of a collection."""

    text: str
    provider: GenerativeConfigRuntime
    picture: str  # the property with the picture

    def call(self, id: str) -> WeaviateCall:
        prompt = GenerativeParameters.single_prompt(self.text, image_properties=[self.picture])
        arguments = {
            "filters": Filter.by_id().equal(id),
            "limit": 1,
            "return_properties": [PATH, self.picture],  # the model gets only what is returned
            "single_prompt": prompt,
            "generative_provider": self.provider,
        }
        return WeaviateCall("fetch_objects", arguments, part="generate")


def build_question(text: str, provider: ProviderInput, target: SearchTarget) -> PictureQuestion:
    """Raises InputError: an empty question, no such module, one that reads no pictures, a collection without any.

    Logs a warning where only thumbnails are stored.
    """
    question = normalize_text(text)
    if not question:
        raise InputError('the question is empty; write one, for example "how many apples are there?"')
    chosen = choose_provider(provider, target)
    picture = choose_picture(target)
    if picture == THUMBNAIL:
        logger.warning(
            "the collection %s keeps thumbnails only, so answers are about those: small things are lost; "
            "clip-ingest SOURCE --keep full --collection NAME keeps the files",
            target.collection,
        )
    return PictureQuestion(question, chosen, picture)


def choose_provider(provider: ProviderInput, target: SearchTarget) -> GenerativeConfigRuntime:
    """Return the settings of a module that the server has. None: of the only one that reads pictures."""
    if isinstance(provider, GenerativeConfigRuntime):
        check_module(read_name(provider), target)
        return provider
    if provider is None:
        return PROVIDERS[choose_only_module(target)]()
    name = provider.removeprefix(PREFIX)
    check_module(name, target)
    if name not in PROVIDERS:
        raise InputError(
            f"{name} needs settings of its own; give them as provider=GenerativeConfig.{name}(...), from "
            "weaviate.classes.generate"
        )
    return PROVIDERS[name]()


def read_name(provider: GenerativeConfigRuntime) -> str:
    value = getattr(provider.generative, "value", provider.generative)
    return str(value).removeprefix(PREFIX)


def check_module(name: str, target: SearchTarget) -> None:
    known = sorted((*PROVIDERS, *ALSO_READ_PICTURES))
    if name not in known:
        raise InputError(
            f"the module {PREFIX}{name} reads no pictures; {did_you_mean(name, known)}those that do are "
            f"{', '.join(known)}"
        )
    if name not in target.generative:
        raise InputError(f"Weaviate runs without the module {PREFIX}{name}; {format_way_out(name)}")


def choose_only_module(target: SearchTarget) -> str:
    usable = [name for name in target.generative if name in PROVIDERS]
    if not usable:
        raise InputError(
            f"Weaviate runs without a generative module that reads pictures; {format_way_out('ollama')}, or with "
            f"another one: {', '.join(sorted(PROVIDERS))}"
        )
    if len(usable) > 1:
        raise InputError(f"Weaviate has several modules that read pictures; name one: provider={usable[0]!r}")
    return usable[0]


def format_way_out(name: str) -> str:
    return f"start it with ENABLE_MODULES=multi2vec-clip,{PREFIX}{name}"


def check_listing_arguments(arguments: SearchArguments) -> int:
    """Return the limit. Raises InputError for what is about a search, where there is none."""
    if others := sorted(set(arguments) - {"limit", "filters"}):
        raise InputError(f"{', '.join(others)}: for a search; say what to look for, or give filters and limit alone")
    limit = arguments.get("limit", SearchRequest().limit)
    check_limits(limit, 0)
    return limit


def ask(question: PictureQuestion, image: Hit | StoredImage) -> SearchFlow[Answer]:
    """Return what the model answers about one image."""
    similarity = image.similarity if isinstance(image, Hit) else None
    objects = (yield question.call(image.id)).objects
    text = read_answer(objects[0]) if objects else ""
    error = "" if objects else "no longer in the collection"
    return Answer(image.path, image.id, text, similarity, error or ("" if text else "the model answered nothing"))


def read_answer(found: Any) -> str:
    return str(getattr(found.generative, "text", None) or "").strip()


def build_failed_answer(image: Hit | StoredImage, error: VectorizerError) -> Answer:
    """Return the answer about an image that the model failed at. Raises Unreachable as it is."""
    if isinstance(error, Unreachable):
        raise error
    return Answer(image.path, image.id, "", image.similarity if isinstance(image, Hit) else None, str(error))
