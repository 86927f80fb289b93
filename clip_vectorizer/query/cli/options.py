"""What the commands that read have in common: options, and a --help that puts them in groups."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from clip_vectorizer.commands import FriendlyErrors
from clip_vectorizer.schema import IMAGE_COLLECTION

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]
LAST_GROUP = "Where it runs"  # of all options that belong to no other group

collection_option = click.option("--collection", default=IMAGE_COLLECTION, show_default=True, help="Which images.")
tenant_option = click.option(
    "--tenant", default=None, show_default="none", help="Whose, if the collection has tenants."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


class GroupedOption(click.Option):
    """An option with the heading under which --help lists it."""

    def __init__(self, *names: Any, group: str, **attributes: Any) -> None:
        super().__init__(*names, **attributes)
        self.group = group


def option(group: str, *names: str, **attributes: Any) -> Callable[[Command], Command]:
    """As `click.option`, in a group."""
    return click.option(*names, cls=GroupedOption, group=group, **attributes)


def all_of(options: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    """One decorator of many; --help lists them in this order."""

    def decorate(command: Command) -> Command:
        for each in reversed(options):
            command = each(command)
        return command

    return decorate


class GroupedHelp(FriendlyErrors):
    """A command whose --help lists its options under headings, and that knows `-5` for a text."""

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
                groups.setdefault(getattr(parameter, "group", LAST_GROUP), []).append(record)
        groups[LAST_GROUP] = groups.pop(LAST_GROUP)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)
