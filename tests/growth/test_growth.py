"""What the benchmark of growth can be held to without a database or a model."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, repeat
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks.growth.__main__ import GrowthTable, format_section, main
from benchmarks.growth.curves import Curve, Panel, describe_bend, draw_panels, find_bend
from benchmarks.growth.images import compute_decade_rates, read_number, spread_keys
from benchmarks.growth.processes import MIB, find_listener, read_cpu_seconds, read_process_memory
from benchmarks.growth.stored_images import FillMark, FillRecord, ImagePlan, ensure_filled
from benchmarks.load import drive_load

SIZES = (1_000.0, 10_000.0, 100_000.0, 1_000_000.0)


def test_a_curve_of_one_power_has_no_bend() -> None:
    assert find_bend(Curve("flat", SIZES, (3.0, 3.1, 2.9, 3.0))) is None
    assert find_bend(Curve("linear", SIZES, SIZES)) is None


def test_the_first_bend_is_where_the_exponent_changes() -> None:
    bend = find_bend(Curve("memory", SIZES, (100.0, 110.0, 1_100.0, 11_000.0)))
    assert bend is not None and bend.at == 10_000
    assert describe_bend(Curve("memory", SIZES, (100.0, 110.0, 1_100.0, 11_000.0))) == (
        "memory: first bend at 10,000: exponent 0.04 before, 1.00 after"
    )


def test_a_rate_is_that_of_the_last_decade() -> None:
    marks = [FillMark(1_000, 1.0, 1.5, 0.4), FillMark(10_048, 19.0, 20.0, 4.0)]
    assert compute_decade_rates(marks, 1_000) == pytest.approx((1_000.0, 1.5))
    assert compute_decade_rates(marks, 10_000) == pytest.approx((9_048 / 18, 18_500 / 9_048))


def test_keys_are_looked_up_in_neighbouring_groups_of_the_whole_collection() -> None:
    groups = [[read_number(key) for key in group] for group in spread_keys(1_000_000)]
    assert all(group == list(range(group[0], group[0] + len(group))) for group in groups)
    assert groups[0][0] == 0 and groups[-1][0] > 950_000
    assert sum(map(len, groups)) == pytest.approx(20_000, rel=0.02)
    assert sum(map(len, spread_keys(1_000))) == 1_000


def test_a_fill_that_was_not_completed_has_no_record(tmp_path: Path) -> None:
    file = tmp_path / "fill.json"
    assert FillRecord.read(file) is None
    record = FillRecord(1_000, 256, "rq-8", True, 5, (FillMark(1_000, 1.0, 2.0, 0.5),))
    record.write(file)
    assert FillRecord.read(file) == record


def test_a_section_has_the_table_the_picture_and_the_bends() -> None:
    panel = Panel("One search", "images", "ms", [Curve("p50", SIZES, (1.0, 1.0, 10.0, 100.0))])
    lines = list(format_section(GrowthTable("images", ("images", "p50 ms"), [("1,000", (1.0,))], [panel])))
    assert "| images | p50 ms |" in lines and "| 1,000 | 1 |" in lines
    assert "\n![The same as curves](growth-images.png)\n" in lines
    assert lines[-1] == "- One search, p50: first bend at 10,000: exponent 0.00 before, 1.00 after"


def test_a_picture_of_four_panels_is_small_and_light(tmp_path: Path) -> None:
    panels = [Panel(f"panel {number}", "x", "y", [Curve("a", SIZES, SIZES)]) for number in range(4)]
    data = draw_panels(panels)
    (tmp_path / "plot.png").write_bytes(data)
    assert len(data) < 100_000
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_too_small_a_size_is_refused_before_anything_starts(kind: str) -> None:
    ran = CliRunner().invoke(main, ["--only", kind, "--most", "5"])
    assert ran.exit_code == 2
    assert "--most 5: the smallest" in ran.output


@contextmanager
def refusing_server() -> Iterator[str]:
    """Refuses every third request with 503."""
    number = count()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            refused = next(number) % 3 == 2
            body = json.dumps({"textVectors": [], "imageVectors": [[1.0]]}).encode()
            self.send_response(503 if refused else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_refusals_are_counted_and_do_not_count_as_answers() -> None:
    with refusing_server() as url:
        load = drive_load(url, (b"{}" for _ in range(9)), 1, 30, distinct=False, may_refuse=True)
        assert (len(load.answers), load.refused) == (5, 3)  # the first is the warm-up
        assert load.p99 == max(each.milliseconds for each in load.answers) >= load.p50
        with pytest.raises(AssertionError, match="503 instead of a vector"):
            drive_load(url, (b"{}" for _ in range(9)), 1, 30, distinct=False)


def test_a_load_that_is_too_short_for_its_requests_in_flight_goes_on_for_the_turns_that_it_needs() -> None:
    with refusing_server() as url:
        load = drive_load(url, repeat(b"{}", 100), 3, 0, distinct=False, may_refuse=True, least_turns=4)
    assert 12 <= len(load.answers) + load.refused < 97


def test_a_port_that_no_process_has_in_its_words_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no process listens with --port 1"):
        find_listener(1)


def test_memory_and_processor_time_are_those_of_this_process() -> None:
    before = read_cpu_seconds(os.getpid())
    held = bytearray(os.urandom(64 * MIB))
    memory = read_process_memory(os.getpid())
    assert len(held) <= memory.anonymous <= memory.rss
    assert memory.pss <= memory.rss
    assert read_cpu_seconds(os.getpid()) >= before > 0


def test_a_folder_that_is_not_of_a_fill_is_left_alone(tmp_path: Path) -> None:
    plan = ImagePlan(1_000, "rq-8")
    (plan.choose_folder(tmp_path) / "photos").mkdir(parents=True)
    with pytest.raises(FileExistsError):
        ensure_filled(plan, tmp_path, "http://127.0.0.1:9", [], np.zeros((0, 2), np.float32), print)
    assert (plan.choose_folder(tmp_path) / "photos").exists()
