"""The names in Weaviate that classification has beside those of schema.py: labels, sets of them, and predictions."""

from weaviate.classes.config import DataType, Property, Tokenization

from clip_vectorizer.schema import (
    LABEL,
    MODEL,
    PREDICTED,
    PREDICTED_MARGIN,
    PREDICTED_SCORE,
    exact_text,
)

# Properties of LABEL_COLLECTION, beside LABEL and MODEL
LABEL_SET = "label_set"  # names the labels that compete in one classification
PROMPTS = "prompts"  # text[]: what was averaged into the vector
PROMPT_SET = "prompt_set"  # the name of the templates
PROMPT_VERSION = "prompt_version"  # and their digest

# Properties of LABEL_SET_COLLECTION, beside MODEL, PROMPT_SET and PROMPT_VERSION
NAME = "name"
REVISION = "revision"  # of the model
TEMPLATES = "templates"  # text[]; none where each label has those of its language
SAID = "said"  # text[]: the labels as they were given, with descriptions
LABEL_IDS = "label_ids"  # text[]: their objects, in the same order


def predicted_properties() -> list[Property]:
    """Added when a classification is first written."""
    numbers = (PREDICTED_SCORE, PREDICTED_MARGIN)
    return [
        *(exact_text(name) for name in PREDICTED if name not in numbers),
        *(Property(name=name, data_type=DataType.NUMBER, index_range_filters=True) for name in numbers),
    ]


def label_properties() -> list[Property]:
    return [
        texts(PROMPTS),
        *(exact_text(name) for name in (LABEL, LABEL_SET, MODEL, PROMPT_SET, PROMPT_VERSION)),
    ]


def label_set_properties() -> list[Property]:
    return [
        *(texts(name) for name in (TEMPLATES, SAID, LABEL_IDS)),
        *(exact_text(name) for name in (NAME, MODEL, REVISION, PROMPT_SET, PROMPT_VERSION)),
    ]


def texts(name: str) -> Property:
    """A list of whole values. Nobody asks for them by a filter."""
    return Property(
        name=name,
        data_type=DataType.TEXT_ARRAY,
        tokenization=Tokenization.FIELD,
        index_filterable=False,
        index_searchable=False,
    )
