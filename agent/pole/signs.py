"""The pole's LED signs: a text for a time, never longer than allowed, dark whenever nobody rules.

Only what the settings list can be written to. Runs in the core process.
"""

import asyncio
import threading

from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import CommandError
from agent.settings.pole import SignSettings
from hardware.signs import SignError, Signs

_LOOK_S, _AGAIN_S = 0.5, 10.0


class PoleSigns(Service):
    """All signs of the settings; each is made dark at the start, and tried again until it is."""

    name = "pole.signs"

    def __init__(self, clock: Clock, signs: Signs, settings: tuple[SignSettings, ...]) -> None:
        super().__init__(clock)
        self._signs, self._settings = signs, {one.sign_id: one for one in settings}
        self._dark_at_s = dict.fromkeys(self._settings, 0.0)  # of those that are not dark
        self._writing = threading.Lock()  # a write goes on when nobody waits for it any more
        self._log = log.get(self.name)

    async def show(self, sign_id: str, text: str, for_s: float | None) -> float:
        """Show a text; return for how long. "" makes it dark.

        Raises `CommandError` sign.unknown, sign.too_long or sign.lost.
        """
        sign = self._settings.get(sign_id)
        if sign is None:
            known = ", ".join(self._settings) or "none"
            raise CommandError(
                "sign.unknown",
                f"This box has no sign `{sign_id}`.",
                hint=f"Signs in its settings: {known}.",
            )
        if for_s is not None and for_s > sign.max_on_s:
            raise CommandError(
                "sign.too_long", f"`{sign_id}` may show something for {sign.max_on_s:g} s at most."
            )
        lasts_s = (for_s or sign.max_on_s) if text else 0.0
        # The end is set first: however this goes on, the sign is dark then.
        self._dark_at_s[sign_id] = self._clock.monotonic_s() + lasts_s
        try:
            await self._write(sign, text)
        except SignError as error:
            raise CommandError(
                "sign.lost", str(error), hint="Look at the sign and the line to it.", retryable=True
            ) from error
        if not text:
            self._dark_at_s.pop(sign_id, None)
        return lasts_s

    def darken(self, sign_id: str) -> None:
        """Let a sign go dark at the next look."""
        if sign_id in self._dark_at_s:
            self._dark_at_s[sign_id] = self._clock.monotonic_s()

    async def run(self) -> None:
        while self._settings:
            self.progressed()
            now_s = self._clock.monotonic_s()
            for sign_id, dark_at_s in tuple(self._dark_at_s.items()):
                if dark_at_s <= now_s:
                    await self._darken(self._settings[sign_id])
            await self._clock.sleep_s(_LOOK_S)

    async def stop(self) -> None:
        """Leave every sign dark, whatever ended the run."""
        for sign_id in tuple(self._dark_at_s):
            await self._darken(self._settings[sign_id])

    async def _darken(self, sign: SignSettings) -> None:
        try:
            await self._write(sign, "")
        except SignError as error:
            self._log.warning("sign not dark", sign=sign.sign_id, reason=str(error))
            self._dark_at_s[sign.sign_id] = self._clock.monotonic_s() + _AGAIN_S
        else:
            self._dark_at_s.pop(sign.sign_id, None)

    async def _write(self, sign: SignSettings, text: str) -> None:
        await asyncio.to_thread(self._write_in_turn, sign, text)

    def _write_in_turn(self, sign: SignSettings, text: str) -> None:
        with self._writing:
            self._signs.show(sign.address, text)
