"""The settings in effect: the technician's file and, of what is stored over it, all that fits.

Whose the disk is with what is stored, `agent.app.settings_on_disk` asks first.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.core.errors import SettingsError
from agent.settings.load import (
    DESIRED_FILE,
    LOCAL_FILE,
    Layers,
    read_desired,
    read_local,
)
from agent.settings.sift import LeftOut, Sifted, sift

_ASIDE: Final = {
    LOCAL_FILE: "local.refused.json",
    DESIRED_FILE: "desired.refused.json",
}


def in_effect(table: dict[str, Any], data_dir: Path) -> Sifted:
    """Return what fits of all three layers. Raises `SettingsError`: the file alone is not right."""
    return sift(table, stored(data_dir))


def stored(data_dir: Path) -> Layers:
    """Return what is stored, whether it fits or not."""
    return Layers(read_local(data_dir), read_desired(data_dir))


def set_damaged_aside(data_dir: Path) -> None:
    """Put away a stored layer that can't be read, in place of one put away before."""
    for name, aside in _ASIDE.items():
        try:
            msgspec.json.decode((data_dir / name).read_bytes(), type=dict[str, Any])
        except FileNotFoundError:
            continue
        except (OSError, msgspec.MsgspecError):
            with suppress(OSError):  # the disk is read-only, too: it is read as empty
                (data_dir / name).replace(data_dir / aside)


def damaged(data_dir: Path) -> tuple[LeftOut, ...]:
    """Return the layers that were put away, and that nobody has set anew since."""
    return tuple(
        LeftOut(
            "$",
            SettingsError("settings.damaged", f"{name} can't be read; it is kept as {aside}."),
            is_local=name == LOCAL_FILE,
        )
        for name, aside in _ASIDE.items()
        if (data_dir / aside).exists() and not (data_dir / name).exists()
    )
