"""Shell completion: the printed script works in the shell, for every command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clip_vectorizer.cli import COMMANDS, SHELLS

BIN = Path(sys.executable).parent


def run_in(shell: str, script: str, **env: str) -> list[str]:
    """The words that `script` prints."""
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"} | env
    ran = subprocess.run([shell, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    return ran.stdout.split()


COMPLETED = [
    ("clip-search", "--gr", "--group-by"),
    ("clip-classify", "--few", "--few-shot"),
    ("clip-caption", "--red", "--redo"),
    ("clip-ground", "--excl", "--exclusive"),
    ("clip-eval", "comp", "compare"),
    ("clip-ingest", "--near", "--near-duplicates"),
    ("clip-ingest", "resto", "restore"),
    ("clip-vectorizer", "ser", "serve"),
    ("clip-gallery", "--allo", "--allowed-host"),
    ("clip-demo", "do", "down"),
]


@pytest.mark.parametrize(("command", "typed", "word"), COMPLETED)
def test_bash_completes_options_and_subcommands(command: str, typed: str, word: str) -> None:
    function = f"_{command.replace('-', '_')}_completion"
    script = (
        f'eval "$(clip-vectorizer completion bash)"; COMP_WORDS=({command} {typed}); COMP_CWORD=1; '
        f"{function} {command}; "
        'echo "${COMPREPLY[@]}"; complete -p ' + command
    )
    words = run_in("bash", script)
    assert words[0] == word and function in words


@pytest.mark.parametrize(("command", "typed", "word"), COMPLETED)
@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_answers_the_script_of_each_shell(shell: str, command: str, typed: str, word: str) -> None:
    """What the shell's script runs at a press of the tab key, with the variables that it sets."""
    current = typed if shell == "fish" else "1"
    answer = run_in(
        "sh",
        command,
        **{
            f"_{command.replace('-', '_').upper()}_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": f"{command} {typed}",
            "COMP_CWORD": current,
        },
    )
    assert any(word in each for each in answer)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_has_all_commands(shell: str) -> None:
    script = " ".join(run_in("sh", f"clip-vectorizer completion {shell}"))
    for command in COMMANDS:
        assert f"_{command.replace('-', '_').upper()}_COMPLETE={shell}_complete" in script


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_shell_itself_accepts_the_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here; the answers that its script reads are tested above")
    start = "autoload -U compinit; compinit -u; " if shell == "zsh" else ""
    source = (
        'eval "$(clip-vectorizer completion zsh)"' if shell == "zsh" else "clip-vectorizer completion fish | source"
    )
    run_in(shell, f"{start}{source}; echo done", HOME=str(tmp_path))
