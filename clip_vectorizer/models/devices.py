"""What CLIP_DEVICE names: one device or several, one worker each. Names are checked against what torch finds here."""

import torch

from clip_vectorizer.errors import SettingsError

ALL = "cuda:all"


def devices_of(text: str, count: int | None = None) -> list[str]:
    """`cuda:0,cuda:1`, `cuda:all`, `cuda`, `cpu` -> torch's names, with numbers. A name may come twice: two workers.

    `count` CUDA devices are here, by default as many as torch finds. Raises SettingsError.
    """
    have = torch.cuda.device_count() if count is None else count
    if text == ALL and not have:
        raise SettingsError(f"CLIP_DEVICE={text!r}: {nothing_found()}")
    names = [f"cuda:{number}" for number in range(have)] if text == ALL else [numbered(each) for each in parts(text)]
    missing = [name for name in names if name != "cpu" and int(name.partition(":")[2]) >= have]
    if missing:
        found = f"torch finds cuda:0 to cuda:{have - 1}" if have else nothing_found()
        raise SettingsError(f"CLIP_DEVICE={text!r}: there is no {' and no '.join(missing)}; {found}")
    return names


def parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def numbered(name: str) -> str:
    return "cuda:0" if name == "cuda" else name


def nothing_found() -> str:
    """Why there is no CUDA device, as far as torch knows, and what to do."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA; install one with it, or use cpu"
    return f"torch {torch.__version__} finds no CUDA device; use cpu, or install a driver for CUDA {torch.version.cuda}"


def keep_threads_within(cores: int) -> None:
    """torch starts a thread a core of the machine; where a quota allows fewer, they would wait for each other."""
    if torch.get_num_threads() > cores:
        torch.set_num_threads(cores)
