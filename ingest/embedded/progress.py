"""How long steps tell what they do: a protocol, and the silent one for tests."""

from typing import Protocol


class Progress(Protocol):
    def step(self, sentence: str) -> None:
        """A step begins that may take seconds or minutes: `starting Weaviate`."""

    def detail(self, words: str) -> None:
        """Where the present step is: `412 of 1510 packages`. May come many times a second."""

    def note(self, sentence: str) -> None:
        """Something worth a line that stays: a way that did not work and what comes next."""


class Quiet:
    """Says nothing."""

    def step(self, sentence: str) -> None: ...

    def detail(self, words: str) -> None: ...

    def note(self, sentence: str) -> None: ...


QUIET = Quiet()
