"""The ingest's job: its shards, its options and its exit codes are those of clip-ingest."""

import os
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from clip_vectorizer.errors import Mismatch, Unreachable
from clip_vectorizer.exit_codes import FATAL, INTERRUPTED, SOME_FAILED, USAGE
from ingest.cli import main as clip_ingest
from ingest.listing import Shard
from tests.containers.chart.releases import INGEST, KEYS, Release, get_environment, render
from tests.containers.chart.toolchain import ChartTools

pytestmark = pytest.mark.containers


def ingest_words(release: Release, tmp_path: Path, index: int) -> list[str]:
    """The words that clip-ingest gets in the pod of that index: the container's command, with a stand-in for it."""
    stand_in = tmp_path / "clip-ingest"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": str(index)}
    words = [*release.ingest["command"], *release.ingest["args"]]
    return subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.splitlines()


def parse_ingest(words: list[str]) -> dict[str, Any]:
    """The parameters as clip-ingest parses them, its rules for pairs of options included. Raises UsageError."""
    with clip_ingest.make_context("clip-ingest", words) as context:
        return context.params


def test_the_shards_of_a_job_are_all_parts_once(tools: ChartTools, tmp_path: Path) -> None:
    release = render(tools, *INGEST)
    [job] = release.jobs()
    assert job["completionMode"] == "Indexed" and job["completions"] == job["parallelism"] == 3
    parsed = [parse_ingest(ingest_words(release, tmp_path, index)) for index in range(job["completions"])]
    assert [Shard.parse(each["shard"]) for each in parsed] == [Shard(1, 3), Shard(2, 3), Shard(3, 3)]
    assert all(each["sources"] == ("/images",) and each["embed"] == "client" for each in parsed)


@pytest.mark.parametrize(
    "settings",
    [
        ["ingest.claim=photos"],
        ["ingest.sources={s3://photos/a b,/images/*.tar}", "ingest.claim=photos", "ingest.args={--exif}"],
        ["ingest.claim=photos", "ingest.args={--prune,--embed,client}", "ingest.schedule=@daily"],
        # another model: docs/deploy.md
        ["ingest.sources=null", "ingest.args={--reindex,--inference-url,http://clip-new:8080}"],
    ],
)
def test_one_pod_takes_every_option(tools: ChartTools, tmp_path: Path, settings: list[str]) -> None:
    release = render(tools, "ingest.enabled=true", *settings)
    parsed = parse_ingest(ingest_words(release, tmp_path, 0))
    assert parsed["shard"] is None
    assert list(parsed["sources"]) == [word for word in release.ingest["args"] if "/" in word and "http" not in word]


def test_options_that_do_not_work_with_shards_are_found(tools: ChartTools, tmp_path: Path) -> None:
    release = render(tools, *INGEST, "ingest.args={--prune}")
    with pytest.raises(click.UsageError, match="--prune does not work with --shard"):
        parse_ingest(ingest_words(release, tmp_path, 0))


def test_the_command_reads_every_variable_of_the_job(tools: ChartTools) -> None:
    environment = get_environment(render(tools, *KEYS, *INGEST).ingest)
    known = {str(each.envvar) for each in clip_ingest.params if each.envvar}
    assert {name.removesuffix("_FILE") for name in environment} <= known


def test_a_shard_is_tried_again_where_that_can_help(tools: ChartTools) -> None:
    [job] = render(tools, *INGEST, "ingest.retries=5").jobs()
    drained, final = job["podFailurePolicy"]["rules"]
    assert drained["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert final["action"] == "FailIndex" and final["onExitCodes"]["containerName"] == "ingest"
    assert final["onExitCodes"]["values"] == [USAGE, SOME_FAILED, Mismatch.exit_code]
    assert not {FATAL, Unreachable.exit_code, INTERRUPTED} & set(final["onExitCodes"]["values"])
    assert job["backoffLimitPerIndex"] == 5 and job["template"]["spec"]["restartPolicy"] == "Never"
