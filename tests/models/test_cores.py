from pathlib import Path

import pytest

from clip_vectorizer.models.cores import allowed_cores, cpu_quota, usable_cores


def written(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def own(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "own"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


@pytest.mark.parametrize(("text", "cores"), [("150000 100000", 1.5), ("max 100000", None), ("200000 50000", 4.0)])
def test_a_container_of_version_2_is_read_at_the_root(text: str, cores: float | None, tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    written(root, cpu__max=text)
    assert cpu_quota(root, own(tmp_path, "0::/")) == cores


def test_the_strictest_group_on_the_way_up_counts(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    written(root / "pod" / "box", cpu__max="400000 100000")
    written(root / "pod", cpu__max="300000 100000")
    assert cpu_quota(root, own(tmp_path, "0::/pod/box")) == 3


@pytest.mark.parametrize("path", ["/", "/docker/0123"])  # inside a container the second is mounted as the root
def test_version_1_is_read_too(path: str, tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    written(root / "cpu,cpuacct", cpu__cfs_quota_us="250000", cpu__cfs_period_us="100000")
    written(root / "memory", cpu__cfs_quota_us="1", cpu__cfs_period_us="1")
    assert cpu_quota(root, own(tmp_path, f"5:memory:{path}", f"4:cpu,cpuacct:{path}")) == 2.5


@pytest.mark.parametrize("quota", ["-1", "", "many"])
def test_a_missing_or_invalid_quota_is_no_limit(quota: str, tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    written(root / "cpu", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    assert cpu_quota(root, own(tmp_path, "1:cpu:/", "")) is None


def test_a_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "none", tmp_path / "nothing") is None


def test_this_process_has_a_core_at_least_and_no_more_than_it_may_use() -> None:
    assert 1 <= usable_cores() <= allowed_cores()
