"""Mains, batteries and UPS as /sys/class/power_supply tells them."""

from pathlib import Path

from hardware.interface import Supply, SupplyKind
from hardware.linux.believable import believable_pct
from hardware.linux.files import read_int, read_text

# kernel: Documentation/ABI/testing/sysfs-class-power
_KINDS = {"Mains": SupplyKind.MAINS, "Battery": SupplyKind.BATTERY, "UPS": SupplyKind.UPS}
_NOT_DISCHARGING = frozenset({"Charging", "Full", "Not charging"})


class PowerSupplies:
    """Every source of power with a driver."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "sys/class/power_supply"

    def read(self) -> tuple[Supply, ...]:
        return tuple(
            _supply(source)
            for source in sorted(self._folder.glob("*"))
            if read_text(source / "scope") != "Device"  # the battery of a mouse feeds no box
        )


def _supply(source: Path) -> Supply:
    online, status = read_int(source / "online"), read_text(source / "status")
    return Supply(
        name=source.name,
        kind=_KINDS.get(read_text(source / "type") or "", SupplyKind.OTHER),
        is_online=None if online is None else online != 0,
        charge_pct=believable_pct(read_int(source / "capacity")),
        is_discharging=_discharges(status),
    )


def _discharges(status: str | None) -> bool | None:
    if status == "Discharging":
        return True
    return False if status in _NOT_DISCHARGING else None
