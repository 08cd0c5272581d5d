"""What a sensor can't mean: a driver that reads nonsense from a dying bus knows nothing."""

# Outside of these a sensor is switched off or broken: a Jetson's sleeping GPU reads -256 °C.
_CELSIUS = (-60.0, 150.0)
_MOST_RPM = 60_000  # the fastest small fans reach half of it
_VOLTS = (0.0, 100.0)


def believable(celsius: float | None) -> float | None:
    """Return a temperature that can be, None for any other."""
    return _within(celsius, *_CELSIUS)


def believable_rpm(rpm: int | None) -> int | None:
    """Return a fan's turns a minute, None for what no fan does."""
    return rpm if rpm is not None and 0 <= rpm <= _MOST_RPM else None


def believable_pct(pct: int | None, most: int = 100) -> int | None:
    """Return a share of 0 to `most` per cent, None for any other."""
    return pct if pct is not None and 0 <= pct <= most else None


def believable_volts(volts: float | None) -> float | None:
    """Return what a board may be supplied with, None for any other."""
    return _within(volts, *_VOLTS)


def _within(number: float | None, least: float, most: float) -> float | None:
    return number if number is not None and least <= number <= most else None
