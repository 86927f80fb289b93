"""What the search commands share: options, and a --help that lists options under headings."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from clip_vectorizer.cli_common import ExitCodeCommand
from clip_vectorizer.defaults import IMAGE_COLLECTION

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
CONNECTION_GROUP = "Database and sidecar"  # of all options that belong to no other group

collection_option = click.option(
    "--collection", default=IMAGE_COLLECTION, metavar="NAME", show_default=True, help="Collection to search."
)
tenant_option = click.option("--tenant", metavar="NAME", help="Tenant, if the collection has tenants.")
consistency_option = click.option(
    "--consistency",
    type=click.Choice(["ONE", "QUORUM", "ALL"], case_sensitive=False),
    show_default="Weaviate's",
    help="How many replicas must answer.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


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
