"""What the model takes of an accelerator's memory."""

import sys


def device_bytes() -> dict[str, int]:
    """By device, `cuda:0`; empty without one. Asks the torch that the model brought, and never imports it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    return {f"cuda:{number}": torch.cuda.memory_reserved(number) for number in range(torch.cuda.device_count())}


def bytes_of(device: str) -> int:
    return device_bytes().get(device, 0)
