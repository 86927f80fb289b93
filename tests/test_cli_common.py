import signal
from contextlib import suppress

import click
import pytest
from click.testing import CliRunner

from clip_vectorizer.cli_common import ExitCodeCommand
from clip_vectorizer.errors import Mismatch


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (Mismatch("another model"), 5, "error: another model"),
        (PermissionError(13, "Permission denied", "/cache"), 1, "error: [Errno 13] Permission denied: '/cache'"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_ends_a_command_with_a_sentence_and_its_code(error: BaseException, code: int, sentence: str) -> None:
    @click.command(cls=ExitCodeCommand)
    def command() -> None:
        raise error

    result = CliRunner().invoke(command)
    assert (result.exit_code, result.stderr.strip()) == (code, sentence)


def test_the_name_of_an_option_is_a_value_where_it_is_written_as_one() -> None:
    @click.command(cls=ExitCodeCommand)
    @click.option("--name")
    @click.option("--loud", is_flag=True)
    @click.argument("words", nargs=-1)
    def command(name: str, loud: bool, words: tuple[str, ...]) -> None:
        click.echo(f"{name} {loud} {' '.join(words)}")

    def run(*words: str) -> str:
        return CliRunner().invoke(command, words).output.strip()

    assert run("--name=--loud") == "--loud False"
    assert run("--name", "--louder", "--loud") == "--louder True"
    assert run("--loud", "--", "--name", "--loud") == "None True --name --loud"
    assert run("--name", "--loud").endswith(
        "--name has no value: --loud follows it; write --name TEXT, or --name=--loud if that is the value"
    )


@pytest.mark.parametrize("ending", ["returns", "exits"])
def test_a_ctrl_c_that_a_callback_ate_still_ends_in_130(ending: str) -> None:
    @click.command(cls=ExitCodeCommand)
    @click.pass_context
    def command(context: click.Context) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        if ending == "exits":
            context.exit(0)

    result = CliRunner().invoke(command)
    assert (result.exit_code, result.stderr.strip()) == (130, "interrupted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
