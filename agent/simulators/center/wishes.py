"""What the center wanted last of each box's settings: one file a box, so that a wish can be added.

A box reports what became of a version, not the document; whoever configures lays over this one.
"""

from pathlib import Path
from typing import Any

import msgspec

from agent.contract.topics import BoxAddress
from agent.core.whole_file import write_whole


class Wishes:
    """Files in `{data_dir}/wishes/`."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "wishes"

    def read(self, address: BoxAddress) -> dict[str, Any]:
        """Return what was wanted last; nothing at first."""
        try:
            return msgspec.json.decode(self._path(address).read_bytes(), type=dict[str, Any])
        except FileNotFoundError:
            return {}

    def write(self, address: BoxAddress, settings: dict[str, Any]) -> None:
        """Keep what was told to the broker."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(address), msgspec.json.format(msgspec.json.encode(settings)))

    def _path(self, address: BoxAddress) -> Path:
        return self._folder / f"{address.site}.{address.box}.json"
