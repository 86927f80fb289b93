"""Which options of a command work together: each command declares it, and one place checks it.

Every option on the command line has an effect, or the command refuses it (exit code 2) with a sentence that names what
to remove. Environment variables never conflict: VECTORIZER_URL in a shell also stands for commands that do not use it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

Values = Mapping[str, Any]  # a command's parameters by name
Condition = Callable[[Values], bool]


def always(_: Values) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Requirement:
    """`option` has an effect only with one of `any_of`."""

    option: str
    any_of: tuple[str, ...]
    reason: str = ""
    when: Condition = always

    def problems(self, given: Collection[str]) -> Iterator[str]:
        if self.option in given and not any(each in given for each in self.any_of):
            reason = f" ({self.reason})" if self.reason else ""
            needed = join_names(self.any_of, "or")
            yield f"{self.option} works only with {needed}{reason}; add {needed}, or remove {self.option}"


@dataclass(frozen=True, slots=True)
class Exclusion:
    """`option` works with none of `others`."""

    option: str
    others: tuple[str, ...]
    reason: str
    when: Condition = always

    def problems(self, given: Collection[str]) -> Iterator[str]:
        refused = [each for each in self.others if self.option in given and each in given]
        if refused:
            names = join_names(refused, "and")
            yield f"{self.option} does not work with {names}: {self.reason}; remove {names}, or remove {self.option}"


@dataclass(frozen=True, slots=True)
class CommandMode:
    """`option` makes the command do something else, for which it takes only the options `takes`."""

    option: str
    takes: tuple[str, ...]
    reason: str
    when: Condition = always

    def problems(self, given: Collection[str]) -> Iterator[str]:
        refused = [each for each in given if each not in (self.option, *self.takes)]
        if self.option in given and refused:
            names = join_names(refused, "and")
            yield f"{self.option} does not work with {names}: {self.reason}; remove {names}"


@dataclass(frozen=True, slots=True)
class SpecialCase:
    """`option` has no effect with these values of other parameters; `problem` is the reason and the remedy."""

    option: str
    when: Condition
    problem: str

    def problems(self, given: Collection[str]) -> Iterator[str]:
        if self.option in given:
            yield f"{self.option} {self.problem}"


OptionRule = Requirement | Exclusion | CommandMode | SpecialCase


def check_rules(context: click.Context, rules: Iterable[OptionRule]) -> None:
    """Raises click.UsageError for the first of `rules` that the command line breaks."""
    given = given_options(context)
    for rule in rules:
        if rule.when(context.params):
            for problem in rule.problems(given):
                raise click.UsageError(problem, context)


def given_options(context: click.Context) -> list[str]:
    """The options and arguments on the command line, as a user types them, in the order of --help."""
    given = (each for each in context.command.params if is_given(context, str(each.name)))
    return [typed_name(each, context.params.get(str(each.name))) for each in given]


def is_given(context: click.Context, name: str) -> bool:
    """Whether the parameter `name` is on the command line; an argument that takes several values may be empty."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE and context.params.get(name) != ()


def typed_name(parameter: click.Parameter, value: Any = True) -> str:
    """`--json`, `--no-thumbnails`, `TEXT`: a parameter as a user types it."""
    if isinstance(parameter, click.Argument):
        return (parameter.metavar or str(parameter.name).upper()).rstrip(".")
    return parameter.secondary_opts[0] if value is False and parameter.secondary_opts else parameter.opts[0]


def join_names(names: Iterable[str], word: str) -> str:
    """
    >>> join_names(["--json", "-0", "--html"], "or")
    '--json, -0 or --html'
    """
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last
