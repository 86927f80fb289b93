"""Prompt templates: the sentences around a label before it is embedded, in English and in Chinese.

CLIP learned from captions, so a label inside one matches better than the bare word: one template is worth +1.3 points
on ImageNet, an ensemble +3.5 more (Radford et al. 2021, section 3.1.4). A prompt set has a name and a version; it is
one of PROMPTS, a file, or a list of templates.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import did_you_mean

BLANK = "{}"  # where the label goes

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
DRAWING_MODELS = ("emoji",)  # learned from drawings and their names, not from photographs
PAGE_PROMPTS = "page-6"
FILE_PREFIX = "@"
OWN_SET = "own"  # name of templates that were given as a list
AUTOMATIC = "auto"  # each label gets the set for its language and the model


def read_packaged_templates(name: str) -> tuple[str, ...]:
    """Return the lines of a file in templates/."""
    text = files("clip_vectorizer.query").joinpath("templates", f"{name}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


PROMPTS: dict[str, tuple[str, ...]] = {
    "word": ("{}",),
    "photo": ("a photo of a {}.",),
    # Seven that together score about as well as the paper's eighty, by the authors' own forward selection.
    "photo-7": (
        "itap of a {}.",
        "a bad photo of the {}.",
        "a origami {}.",
        "a photo of the large {}.",
        "a {} in a video game.",
        "art of the {}.",
        "a photo of the small {}.",
    ),
    "photo-80": read_packaged_templates("photo-80"),  # the paper's own, as open_clip lists them
    "drawing": ("a drawing of {}",),
    "drawing-7": (
        "{}",
        "a drawing of {}",
        "an emoji of {}",
        "{} emoji",
        "a picture of {}",
        "an icon of {}",
        "a {}",
    ),
    # Of kinds of pages, which have descriptions: what is in a document, not what a camera sees.
    PAGE_PROMPTS: (
        "{}",
        "{}.",
        "a page of a document: {}",
        "a scan of {}",
        "a PDF page that shows {}",
        "a picture of {}",
    ),
    "zh-photo": ("一张{}的照片。",),
    "zh-photo-7": (
        "{}",
        "一张{}的照片。",
        "一张质量差的{}的照片。",
        "一张大的{}的照片。",
        "一张小的{}的照片。",
        "许多{}的照片。",
        "{}的艺术作品。",
    ),
    "zh-photo-80": read_packaged_templates("zh-photo-80"),  # the variations of photo-80, in Chinese
    "zh-drawing": ("{}的图画",),
    "zh-drawing-7": ("{}", "{}的图画", "{}的表情符号", "一张{}的图片", "{}图标", "一个{}", "{}的插画"),
}


def default_templates(label: str, model: str) -> tuple[str, ...]:
    """Return seven templates in the language of `label`, for the kind of pictures that `model` was trained on.

    >>> default_templates("apple", "emoji")[1]
    'a drawing of {}'
    """
    return PROMPTS[default_set_name(label, model)]


def default_set_name(label: str, model: str) -> str:
    name = "drawing-7" if model in DRAWING_MODELS else "photo-7"
    return f"zh-{name}" if HAN.search(label) else name


def get_templates(name: str) -> tuple[str, ...]:
    """Return the templates of one of PROMPTS. Raises InputError that lists the names."""
    if name not in PROMPTS:
        meant = did_you_mean(name, PROMPTS)
        raise InputError(f"no prompt set is called {name!r}; {meant}there are {', '.join(PROMPTS)}")
    return PROMPTS[name]


def check_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """Return the templates. Raises InputError unless each has exactly one {}."""
    if not templates:
        raise InputError(f"no prompt template is given; one is enough, for example {PROMPTS['photo'][0]!r}")
    for template in templates:
        normalize_text(template)
        if template.count(BLANK) != 1:
            raise InputError(
                f"the prompt template {template!r} needs {BLANK} once, where the label goes, "
                f"for example {PROMPTS['photo'][0]!r}"
            )
    return tuple(templates)


def normalize_text(text: str) -> str:
    """Return `text` on one line with single spaces. Raises InputError unless it is a str that UTF-8 can encode."""
    if not isinstance(text, str):
        raise InputError(f"{text!r} is of the type {type(text).__name__}; labels and prompts are texts")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # an argument of a command that was not UTF-8 contains surrogates
        raise InputError(f"{text[:60]!r} is not UTF-8 text; type it in a terminal that is set to UTF-8") from error
    return " ".join(text.split())


def fill_templates(templates: Sequence[str], label: str) -> tuple[str, ...]:
    """Return the prompts of one label. Not by str.format: a label or a template may contain braces."""
    return tuple(template.replace(BLANK, label) for template in templates)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Templates with a name, which labels are embedded and stored under.

    >>> PromptSet("photo", ("a photo of a {}.",)).version
    '5935597b'
    """

    name: str
    templates: tuple[str, ...]  # each with one {}; empty: AUTOMATIC

    @property
    def version(self) -> str:
        """A digest of the templates, independent of their order, as their mean is."""
        listed = json.dumps(sorted(set(self.templates)), ensure_ascii=False)
        return hashlib.blake2b(listed.encode(), digest_size=4).hexdigest()

    @property
    def is_automatic(self) -> bool:
        return not self.templates

    def for_label(self, text: str, model: str) -> "PromptSet":
        """Return this set, or for AUTOMATIC the set for the language of `text` and the model."""
        return select_prompt_set(default_set_name(text, model)) if self.is_automatic else self


def select_prompt_set(prompts: str | PromptSet | None = None, templates: Sequence[str] | None = None) -> PromptSet:
    """Return the set for `prompts` (a name, `@FILE` with one template per line, or a set) or `templates`.

    With neither it is AUTOMATIC. Raises InputError: no such set or file, both given, a template without {}.
    """
    if prompts is not None and templates is not None:
        raise InputError("a prompt set and templates are given; remove one of them")
    if isinstance(prompts, PromptSet):
        return prompts
    if isinstance(templates, str):
        raise InputError(f"templates is the text {templates[:60]!r}; give a list of texts, for example [{templates!r}]")
    if templates is not None:
        return PromptSet(OWN_SET, check_templates(templates))
    if prompts is None:
        return PromptSet(AUTOMATIC, ())
    if prompts.startswith(FILE_PREFIX):
        return read_prompt_file(Path(prompts.removeprefix(FILE_PREFIX)))
    return PromptSet(prompts, get_templates(prompts))


def read_prompt_file(file: Path) -> PromptSet:
    """Return a set named after the file. Raises InputError: no such file, not UTF-8, empty, a line without {}."""
    lines = read_lines(file, f"the prompt file {file}", "one template per line, with {} for the label")
    return PromptSet(normalize_text(file.stem), check_templates(lines))


def read_lines(file: Path, what: str, expected: str) -> list[str]:
    """Return the lines of a UTF-8 text file that are not blank. Raises InputError that starts with `what`."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what}: {error}; name a UTF-8 text file with {expected}") from error
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise InputError(f"{what} is empty; it needs {expected}")
    return filled
