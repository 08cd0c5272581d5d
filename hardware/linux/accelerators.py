"""Chips that can run a detector, found by their drivers and USB numbers."""

from collections.abc import Iterator
from pathlib import Path

from hardware.interface import Accelerator, AcceleratorKind
from hardware.linux.files import read_text
from hardware.linux.tegra_gpu import gpu_folder

# Coral's USB stick: numbers before and after its firmware is loaded (coral.ai, "Get started").
_CORAL_USB = frozenset({("1a6e", "089a"), ("18d1", "9302")})


class PluggedAccelerators:
    """What is plugged in under one root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> tuple[Accelerator, ...]:
        return tuple(self._found())

    def _found(self) -> Iterator[Accelerator]:
        for stick in sorted((self._root / "sys/bus/usb/devices").glob("*")):
            numbers = (read_text(stick / "idVendor"), read_text(stick / "idProduct"))
            if numbers in _CORAL_USB:
                yield Accelerator(AcceleratorKind.EDGE_TPU_USB, "Coral USB Accelerator", stick.name)
        for chip in sorted((self._root / "sys/class/apex").glob("apex_*")):
            yield Accelerator(AcceleratorKind.EDGE_TPU_PCIE, "Coral PCIe", f"/dev/{chip.name}")
        for chip in sorted((self._root / "sys/class/hailo_chardev").glob("hailo*")):
            yield Accelerator(AcceleratorKind.HAILO, "Hailo", f"/dev/{chip.name}")
        for card in sorted((self._root / "proc/driver/nvidia/gpus").glob("*")):
            yield Accelerator(AcceleratorKind.NVIDIA_GPU, _gpu_name(card), card.name)
        # a Jetson's own GPU has no folder under /proc/driver/nvidia
        if (gpu := gpu_folder(self._root)) is not None:
            yield Accelerator(AcceleratorKind.NVIDIA_GPU, "Tegra GPU", gpu.name)


def _gpu_name(card: Path) -> str:
    for line in (read_text(card / "information") or "").splitlines():
        key, _, value = line.partition(":")
        if key == "Model":
            return value.strip()
    return "NVIDIA GPU"
