"""Taking another box's place at the page: the code is proven, the center approves, then a restart.

In the background of the core; what it wins is staged on the disk, see `agent.app.take_over`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from agent.core.errors import PolesideError

Enrol = Callable[[str, str, str, Callable[[str], None]], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class PlaceState:
    """`step`: idle, asking, ready, failed. `place`: SITE/BOX once it is given."""

    step: str = "idle"
    place: str = ""
    code: str = ""
    message: str = ""


class PlaceTaking:
    """One try at a time, a new one ends the last; `enrol` returns the place that was given."""

    def __init__(self, enrol: Enrol) -> None:
        self._enrol = enrol
        self._task: asyncio.Task[None] | None = None
        self.state = PlaceState()

    def begin(self, center: str, code: str, pin: str) -> None:
        """Ask the center; `state` tells how it goes."""
        if self._task is not None:
            self._task.cancel()
        self.state = PlaceState(step="asking")
        self._task = asyncio.get_running_loop().create_task(self._ask(center, code, pin))

    async def _ask(self, center: str, code: str, pin: str) -> None:
        try:
            place = await self._enrol(center, code, pin, self._say)
        except PolesideError as error:
            self.state = PlaceState(step="failed", code=error.code, message=error.message)
        except (OSError, ValueError) as error:  # a port or a name that is none is a `ValueError`
            code = "enrol.storage" if isinstance(error, OSError) else "enrol.address"
            self.state = PlaceState(step="failed", code=code, message=str(error))
        else:
            self.state = PlaceState(step="ready", place=place)

    def _say(self, text: str) -> None:
        self.state = replace(self.state, message=text)
