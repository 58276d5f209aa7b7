"""Which device a model runs on."""

from __future__ import annotations

import torch

from pipeline.base.errors import DeviceError

ALL_GPUS = "cuda:all"
"""All GPUs of the machine, for several processes; to one process it is the first."""


def choose_device(device: str) -> torch.device:
    """The torch device of a name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: It was named and is not there. It is never replaced in silence.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device("cuda" if device == ALL_GPUS else device)
    except RuntimeError as error:
        raise DeviceError(
            f"{device!r} is not a device.", "Use cpu, cuda, cuda:1, cuda:all, mps or auto."
        ) from error
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(chosen.type, False):
        raise DeviceError(
            f"Device {device!r} is not available on this machine "
            f"(torch {torch.__version__}, {torch.cuda.device_count()} CUDA devices).",
            "Check the driver and that torch is a CUDA build, or run with --device cpu.",
        )
    return chosen
