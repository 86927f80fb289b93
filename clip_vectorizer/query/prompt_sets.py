"""A prompt set that has a name and a version: one of ours, a file's, or templates that somebody gave."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.prompts import checked_templates, default_name, plain, templates_named

FROM_FILE = "@"
GIVEN = "own"  # the name of templates that came without one
AUTOMATIC = "auto"  # for each label the set that suits its language and the model


@dataclass(frozen=True, slots=True)
class PromptSet:
    name: str
    templates: tuple[str, ...]  # each with one {}; none: AUTOMATIC

    @property
    def version(self) -> str:
        """A digest of the templates in any order: a mean has none."""
        listed = json.dumps(sorted(set(self.templates)), ensure_ascii=False)
        return hashlib.blake2b(listed.encode(), digest_size=4).hexdigest()

    @property
    def is_automatic(self) -> bool:
        return not self.templates

    def for_label(self, text: str, model: str) -> "PromptSet":
        """Itself; for AUTOMATIC the one that suits `text`."""
        return prompt_set(default_name(text, model)) if self.is_automatic else self


def prompt_set(prompts: str | PromptSet | None = None, templates: Sequence[str] | None = None) -> PromptSet:
    """`prompts`: a set's name, `@FILE` with a template a line, or a set. With neither: AUTOMATIC.

    Raises InputError: no such set or file, both given, a template without {}.
    """
    if prompts is not None and templates is not None:
        raise InputError("a prompt set and templates are given: name a set, or give your own templates")
    if isinstance(prompts, PromptSet):
        return prompts
    if isinstance(templates, str):
        raise InputError(f"templates is the text {templates[:60]!r}; give a list of texts, for example [{templates!r}]")
    if templates is not None:
        return PromptSet(GIVEN, checked_templates(templates))
    if prompts is None:
        return PromptSet(AUTOMATIC, ())
    if prompts.startswith(FROM_FILE):
        return from_file(Path(prompts.removeprefix(FROM_FILE)))
    return PromptSet(prompts, templates_named(prompts))


def from_file(file: Path) -> PromptSet:
    """Named after the file. Raises InputError: not there, not UTF-8, empty, a line without {}."""
    lines = lines_of(file, f"the prompt file {file}", "one template a line, with {} for the label")
    return PromptSet(plain(file.stem), checked_templates(lines))


def lines_of(file: Path, what: str, expected: str) -> list[str]:
    """The lines of a UTF-8 text file that hold anything. Raises InputError that begins with `what`."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what}: {error}; name a UTF-8 text file with {expected}") from error
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise InputError(f"{what} holds nothing; it needs {expected}")
    return filled
