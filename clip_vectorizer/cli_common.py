"""What all commands share: an error becomes a sentence and an exit code, and options are checked together.

Each command declares which of its options work together. Every option on the command line has an effect, or the command
refuses it (exit code 2) with a sentence that names what to remove. Environment variables never conflict:
VECTORIZER_URL in a shell also stands for commands that do not use it.
"""

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, NoReturn, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.exit_codes import FATAL, INTERRUPTED
from clip_vectorizer.terminal import escape_text

INTERRUPT_RETRY_SECONDS = 0.05
CONNECTION_GROUP = "Database and sidecar"  # heading of all options that belong to no other group

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
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


class ExitCodeCommand(click.Command):
    """A click command that ends with our exit codes and shows no stack trace for an error of ours.

    0 all done · 1 fatal · 2 usage · 3 some items failed · 4 Weaviate or sidecar unreachable · 5 model or schema
    mismatch · 130 interrupted. `rules`: which of its options work together.
    """

    def __init__(self, *arguments: Any, rules: Sequence[OptionRule] = (), **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.rules = rules

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:  # as shell completion parses an unfinished line
            check_values(ctx, args)
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            check_rules(ctx, self.rules)
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        interrupts = InterruptGuard()
        try:
            with interrupts:
                return super().invoke(ctx)
        except click.exceptions.Exit:
            if interrupts.swallowed:
                exit_with_error("interrupted", INTERRUPTED)
            raise
        except VectorizerError as error:
            exit_with_error(f"error: {error}", error.exit_code)
        except BrokenPipeError:
            raise  # the reader of our output has enough; click ends in silence
        except OSError as error:  # no space left, a folder that cannot be written: the system's text names the file
            exit_with_error(f"error: {error}", FATAL)
        except KeyboardInterrupt:
            exit_with_error("interrupted", INTERRUPTED)


class ExitCodeGroup(ExitCodeCommand, click.Group):
    """The same for a command with subcommands."""


class CommandWithSubcommands(ExitCodeGroup):
    """A command with arguments of its own; its first word may be the name of a subcommand instead.

    click's groups read their arguments before that name, and arguments of any number would take it too.
    """

    allow_interspersed_args = True  # options may follow arguments, as in any command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            return super().parse_args(ctx, args)
        ctx.args = args
        return args

    def invoke(self, ctx: click.Context) -> Any:
        if not ctx.args:
            return super().invoke(ctx)
        name, *rest = ctx.args
        command = self.commands[name]
        with command.make_context(f"{ctx.info_name} {name}", rest) as inner:
            return command.invoke(inner)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return click.Command.collect_usage_pieces(self, ctx)


def complete_word(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For the files of a CommandWithSubcommands: its first word may be a subcommand, each one may be a file."""
    command, later = context.command, context.params.get(str(parameter.name))
    commands = command.commands if isinstance(command, click.Group) and not later else ()
    names = [each for each in commands if each.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *map(CompletionItem, names)]


class GroupedOption(click.Option):
    """An option with the heading under which --help lists it."""

    def __init__(self, *names: Any, group: str, **attributes: Any) -> None:
        super().__init__(*names, **attributes)
        self.group = group


def grouped_option(group: str, *names: str, **attributes: Any) -> Callable[[CommandT], CommandT]:
    """As `click.option`, under the heading `group`."""
    return click.option(*names, cls=GroupedOption, group=group, **attributes)


def combine_options(options: tuple[Callable[[CommandT], CommandT], ...]) -> Callable[[CommandT], CommandT]:
    """One decorator for all of `options`; --help lists them in this order."""

    def decorate(command: CommandT) -> CommandT:
        for each in reversed(options):
            command = each(command)
        return command

    return decorate


class GroupedCommand(ExitCodeCommand):
    """A command whose --help lists its options under headings, and that explains how to search for `-5`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if not error.option_name.lstrip("-")[:1].isalpha():
                hint = f"A text that begins with - goes after --: {ctx.info_name} -- '{error.option_name}'"
                raise click.UsageError(f"{error.format_message()} {hint}", ctx) from error
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record:
                groups.setdefault(getattr(parameter, "group", CONNECTION_GROUP), []).append(record)
        groups[CONNECTION_GROUP] = groups.pop(CONNECTION_GROUP)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class InterruptGuard:
    """Context manager: Ctrl-C ends the command, also when it falls into a callback from compiled code.

    There Python prints "Exception ignored" and goes on (seen in pydantic's validation, under weaviate-client). The
    guard raises it again a moment later, and at the latest when the command has ended.
    """

    def __init__(self) -> None:
        self.swallowed = False
        self._inside = False

    def __enter__(self) -> None:
        self._previous, self._hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
        if self._previous is signal.default_int_handler:  # not in a thread, not another command's handler
            signal.signal(signal.SIGINT, self._interrupt)
            sys.unraisablehook = self._unraisable
            self._inside = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._inside:
            self._inside = False
            signal.signal(signal.SIGINT, self._previous)
            sys.unraisablehook = self._hook
        if kind is None and self.swallowed:
            raise KeyboardInterrupt

    def _interrupt(self, *_: object) -> NoReturn:
        self.swallowed = True
        raise KeyboardInterrupt

    def _unraisable(self, ignored: Any) -> None:
        if ignored.exc_type is not KeyboardInterrupt:
            self._hook(ignored)
            return
        retry = threading.Timer(INTERRUPT_RETRY_SECONDS, self._raise_again)
        retry.daemon = True
        retry.start()

    def _raise_again(self) -> None:
        if self._inside:
            _thread.interrupt_main()


def exit_with_error(sentence: str, exit_code: int) -> NoReturn:
    click.echo(escape_text(sentence), err=True)
    sys.exit(exit_code)


def check_values(context: click.Context, words: Sequence[str]) -> None:
    """Raises click.UsageError for an option without its value, which click would take from the option after it."""
    options = [each for each in context.command.params if isinstance(each, click.Option)]
    names = {name for each in options for name in (*each.opts, *each.secondary_opts)}
    with_value = {name: each for each in options if not (each.is_flag or each.count) for name in each.opts}
    for option, following in pairwise(takewhile(lambda word: word != "--", words)):
        if option in with_value and following in names:
            value = with_value[option].make_metavar(context)
            raise click.UsageError(
                f"{option} has no value: {following} follows it; write {option} {value}, or "
                f"{option}={following} if that is the value",
                context,
            )


def check_rules(context: click.Context, rules: Iterable[OptionRule]) -> None:
    """Raises click.UsageError for the first of `rules` that the command line breaks."""
    given = given_options(context)
    for rule in rules:
        problem = next(rule.problems(given), None)
        if problem and rule.when(context.params):  # a condition may take long: it imports what a run needs anyway
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
