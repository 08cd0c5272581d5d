"""Updates on the service page: what runs, what is under way, and bundles on a stick to install."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent import __version__
from agent.contract.updates import Update, UpdateInfo
from agent.core.clock import Clock
from agent.core.ids import new_ulid
from agent.local.usb.media import LABEL, sticks
from agent.updates import stick
from agent.updates.image import ImageSide
from agent.updates.job import LocalOrder, load

_OWN_MOUNT: Final = "run/poleside-stick"  # the image mounts a stick called POLESIDE there
_BUNDLE: Final = re.compile(r"[\w.-]*?(\d{1,5}\.\d{1,5}\.\d{1,5})[\w.-]*\.raucb")
_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file of a stick that may be an update; RAUC's signature decides."""

    path: str
    version: str


@dataclass(frozen=True, slots=True)
class UpdateView:
    """`image` is empty where there is no image of ours: there the system's packages update."""

    agent: str
    image: str
    is_image: bool
    info: UpdateInfo | None
    bundles: tuple[Bundle, ...]

    @property
    def may_cancel(self) -> bool:
        """Whether something is under way."""
        return self.info is not None and not self.info.stage.is_final


class UpdateCare:
    """Reads files only; the agent's own component does the work. The image's lie under `root`."""

    def __init__(self, data_dir: Path, clock: Clock, root: Path = Path("/")) -> None:
        self._image, self._clock, self.root = ImageSide.of(data_dir, root), clock, root

    def view(self) -> UpdateView:
        """Return what to show. Raises `StorageError`."""
        job = load(self._image.folder)
        return UpdateView(
            agent=__version__,
            image=self._image.version,
            is_image=self._image.is_there,
            info=job.told() if job else None,
            bundles=tuple(self._bundles()) if self._image.is_there else (),
        )

    def cancel(self, by: str) -> None:
        """Have the agent give up what is not installed yet. Raises `OSError`."""
        told = LocalOrder(id=new_ulid(self._clock.utc_now()), by=by, order=Update(action="cancel"))
        stick.leave(self._image.folder, told)

    def _bundles(self) -> list[Bundle]:
        places = [Path(one.mount) for one in sticks(self.root)]
        own = self.root / _OWN_MOUNT
        if (self.root / "dev/disk/by-label" / LABEL).exists() and own not in places:
            places.append(own)  # without that stick to look there would wait for it
        files = (path for place in places for path in sorted(place.glob("*.raucb"))[:_MOST])
        named = ((path, _BUNDLE.fullmatch(path.name)) for path in files if path.is_file())
        return [Bundle(str(path), name[1]) for path, name in named if name]
