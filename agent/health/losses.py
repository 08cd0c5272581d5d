"""What a board has told since the start and no longer does: a sensor that vanished, or lies."""

from collections.abc import Iterable, Mapping

from hardware.interface import (
    ClockChipState,
    FanState,
    PowerState,
    StorageState,
    Supply,
    Temperature,
)


class Losses:
    """Remembers what each part has told."""

    def __init__(self) -> None:
        self._told: dict[str, set[str]] = {}

    def of(self, part: str, told: Iterable[str], silent: Iterable[str]) -> tuple[str, ...]:
        """Return what `part` told before and not now; of one that does not answer that is said."""
        if part in silent:
            return ()
        known, now = self._told.setdefault(part, set()), set(told)
        known |= now
        return tuple(sorted(known - now))


def told_by(temperatures: Iterable[Temperature]) -> Iterable[str]:
    """Return the names of the thermometers that tell degrees and don't sleep at times."""
    return (
        reading.name
        for reading in temperatures
        if reading.celsius is not None and not reading.may_sleep
    )


def facts_told(
    power: PowerState,
    storage: StorageState,
    fans: Iterable[FanState],
    supplies: Iterable[Supply],
    chip: ClockChipState | None,
) -> Mapping[str, Iterable[str]]:
    """Return what is known now beside the temperatures, in words, by the part that tells it."""
    return {
        "power": [
            *(["supply voltage"] if power.under_voltage is not None else []),
            *(f"supply line {rail.name}" for rail in power.rails if rail.volts is not None),
        ],
        "storage": ["disk wear"] if _wear_is_known(storage) else [],
        "fans": [f"fan {fan.name}" for fan in fans if fan.rpm is not None],
        "supplies": [f"supply {supply.name}" for supply in supplies if _is_known(supply)],
        "clock chip": ["clock chip"] if chip is not None and chip.is_present else [],
    }


def _wear_is_known(storage: StorageState) -> bool:
    facts = (storage.life_used_pct, storage.wear, storage.is_failing)
    return any(fact is not None for fact in facts)


def _is_known(supply: Supply) -> bool:
    facts = (supply.is_online, supply.charge_pct, supply.is_discharging)
    return any(fact is not None for fact in facts)
