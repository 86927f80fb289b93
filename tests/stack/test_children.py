"""No process outlives the one that started the stack, even when that one is killed and cannot clean up."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.processes import alive, descendants, eventually, listening

pytestmark = pytest.mark.stack

HOLD_A_STACK = """
import json, sys, time
from pathlib import Path
from ingest.embedded import LocalStack
with LocalStack("emoji", Path(sys.argv[1])) as stack:
    grpc = f"http://127.0.0.1:{stack.weaviate.grpc_port}"
    print(json.dumps([stack.weaviate.url, stack.sidecar.url, grpc]), flush=True)
    time.sleep(600)
"""


def test_a_killed_process_leaves_no_part_of_its_stack_behind(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD_A_STACK, tmp_path], stdout=subprocess.PIPE, text=True)
    with holder:
        try:
            assert holder.stdout is not None
            line = holder.stdout.readline()
            assert line, "the stack did not start"
            urls, children = json.loads(line), descendants(holder.pid)
            assert all(listening(url) for url in urls)
            assert len(children) >= 2  # Weaviate and the sidecar
        finally:
            holder.kill()
    assert eventually(lambda: not alive(children)), f"still running: {alive(children)}"
    assert not any(listening(url) for url in urls)
