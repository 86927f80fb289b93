"""Every command and subcommand explains itself, with an example to run."""

import re
from importlib.metadata import distribution

import pytest

from tests.stack.support import run_command

pytestmark = pytest.mark.stack

COMMANDS = sorted(entry.name for entry in distribution("clip-vectorizer").entry_points.select(group="console_scripts"))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_holds_an_example_for_the_command_and_each_subcommand(command: str) -> None:
    pending = [[command]]
    while pending:
        words = pending.pop()
        text = run_command(*words, "--help", expect=0).stdout
        _, heading, examples = text.partition("Example")
        assert heading, f"{' '.join(words)} --help has no Example"
        assert " ".join(words) in examples, f"{' '.join(words)} --help shows an example of something else"
        pending += [[*words, name] for name in subcommands(text)]


def subcommands(help_text: str) -> list[str]:
    """The names under `Commands:` as click prints them."""
    _, _, listed = help_text.partition("\nCommands:\n")
    return re.findall(r"^  ([a-z][\w-]*)", listed, flags=re.MULTILINE)


def test_the_fixed_commands_exist() -> None:
    fixed = ("clip-vectorizer", "clip-ingest", "clip-search", "clip-classify", "clip-gallery", "clip-demo")
    assert set(fixed) <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_a_usage_error(command: str) -> None:
    refused = run_command(command, "--no-such-option", expect=2)
    assert "--no-such-option" in refused.stderr
