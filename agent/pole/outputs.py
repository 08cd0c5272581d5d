"""The pole's outputs: switched for a time, never longer than allowed, safe whenever nobody rules.

Only what the settings list can be switched. Runs in the core process.
"""

from dataclasses import dataclass

from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import CommandError
from agent.core.on_time import OnTime
from agent.settings.pole import OutputSettings
from hardware.lines import LineError, Lines, OutputLine

LOOK_S = 0.2
REOPEN_S = 5.0


@dataclass(frozen=True, slots=True)
class OutputState:
    """One output. `is_on` None: its line can't be had, so nobody knows. `left_s` until safe."""

    output_id: str
    purpose: str
    is_on: bool | None
    left_s: float | None = None
    fault: str = ""


class Outputs(Service):
    """All outputs of the settings, each in its safe state until switched."""

    name = "pole.outputs"

    def __init__(self, clock: Clock, lines: Lines, outputs: tuple[OutputSettings, ...]) -> None:
        super().__init__(clock)
        self._outputs = {entry.output_id: _Output(clock, lines, entry) for entry in outputs}
        self._log = log.get(self.name)

    @property
    def states(self) -> tuple[OutputState, ...]:
        """How each output is now."""
        return tuple(output.state for output in self._outputs.values())

    def switch(self, output_id: str, for_s: float | None, *, on: bool) -> OutputState:
        """Switch an output; off its safe state it stays for `for_s`, at most as its settings say.

        Orders one after another share that time: `left_s` of the answer says what this one got.
        Raises `CommandError` output.unknown, output.too_long, output.resting or output.lost.
        """
        output = self._outputs.get(output_id)
        if output is None:
            known = ", ".join(self._outputs) or "none"
            raise CommandError(
                "output.unknown",
                f"This box has no output `{output_id}`.",
                hint=f"Outputs in its settings: {known}.",
            )
        output.switch(for_s, on=on)
        self._log.info("switched", output=output_id, on=on, for_s=for_s)
        return output.state

    def make_safe(self, output_id: str) -> None:
        """End what an order began; an output that is lost is safe by its driver."""
        try:
            self.switch(output_id, None, on=self._outputs[output_id].settings.is_on_when_safe)
        except CommandError as error:
            self._log.warning("output not safe", output=output_id, code=error.code)

    def pulse(self, output_id: str, for_s: float) -> OutputState:
        """Leave the safe state for `for_s`, or for as long as the settings allow.

        Raises `CommandError` output.unknown, output.resting or output.lost.
        """
        known = self._outputs.get(output_id)
        if known is None:
            return self.switch(output_id, for_s, on=False)  # which says that there is none
        told = known.settings
        return self.switch(output_id, min(for_s, told.max_on_s), on=not told.is_on_when_safe)

    async def run(self) -> None:
        """Open the lines; let go what is over. A box without outputs has nothing to do here."""
        while self._outputs:
            self.progressed()
            for output in self._outputs.values():
                output.look()
            await self._clock.sleep_s(LOOK_S)

    async def stop(self) -> None:
        """Leave every output safe, whatever ended the run."""
        for output in self._outputs.values():
            output.close()


class _Output:
    def __init__(self, clock: Clock, lines: Lines, settings: OutputSettings) -> None:
        self._clock, self._lines, self.settings = clock, lines, settings
        self._line: OutputLine | None = None
        self._is_on, self._until_s = settings.is_on_when_safe, 0.0
        self._period = OnTime(settings.max_on_s, settings.rest_s)
        self._retry_s, self._fault = 0.0, "its line is not open yet"
        self._log = log.get(f"pole.{settings.output_id}")

    @property
    def state(self) -> OutputState:
        is_switched = self._is_switched
        left_s = max(0.0, self._until_s - self._clock.monotonic_s()) if is_switched else None
        return OutputState(
            self.settings.output_id,
            self.settings.purpose.value,
            None if self._line is None else self._is_on,
            left_s,
            "" if self._line is not None else self._fault,
        )

    @property
    def _is_switched(self) -> bool:
        return self._is_on is not self.settings.is_on_when_safe

    def look(self) -> None:
        """Open the line if it isn't; end what has lasted long enough."""
        now_s = self._clock.monotonic_s()
        if self._line is None:
            self._open(now_s)
        elif self._is_switched and now_s >= self._until_s:
            try:
                self._set(on=self.settings.is_on_when_safe)
                self._log.info("safe again")
            except CommandError as error:  # opening the line anew makes it safe, too
                self._log.error("can't be made safe, tried again", reason=error.message)

    def switch(self, for_s: float | None, *, on: bool) -> None:
        longest_s = self.settings.max_on_s
        if for_s is not None and not 0 < for_s <= longest_s:
            raise CommandError(
                "output.too_long",
                f"`{self.settings.output_id}` may be switched for {longest_s:g} s at most.",
            )
        now_s = self._clock.monotonic_s()
        if on is not self.settings.is_on_when_safe:
            allowed_s = self._period.left_s(now_s)
            if allowed_s <= 0:
                raise self._resting(now_s)
            self._until_s = now_s + min(allowed_s, longest_s if for_s is None else for_s)
        if self._line is None:
            self._open(now_s)
        self._set(on=on)

    def close(self) -> None:
        line, self._line = self._line, None
        self._now_is(on=self.settings.is_on_when_safe)
        self._fault = "its line is not open yet"
        if line is not None:
            try:
                line.close()
            except LineError as error:
                self._log.error("could not be made safe", reason=str(error))

    def _open(self, now_s: float) -> None:
        if now_s < self._retry_s:
            return
        self._retry_s = now_s + REOPEN_S
        entry = self.settings
        try:
            self._line = self._lines.open_output(
                entry.line, safe=entry.is_on_when_safe, active_low=entry.active_low
            )
        except LineError as error:
            if str(error) != self._fault:
                self._log.warning("no line", reason=str(error))
            self._fault = str(error)
        else:
            self._now_is(on=entry.is_on_when_safe)
            self._fault = ""

    def _set(self, *, on: bool) -> None:
        if self._line is None:
            raise self._lost()
        try:
            self._line.set(on)
        except LineError as error:
            self._line, self._fault = None, str(error)
            raise self._lost() from error
        self._now_is(on=on)

    def _now_is(self, *, on: bool) -> None:
        self._is_on = on
        self._period.note(self._clock.monotonic_s(), is_switched=self._is_switched)

    def _resting(self, now_s: float) -> CommandError:
        entry = self.settings
        return CommandError(
            "output.resting",
            f"`{entry.output_id}` has been switched for its {entry.max_on_s:g} s.",
            hint=f"It may be switched again after {self._period.rests_s(now_s):.0f} s of rest.",
            retryable=True,
        )

    def _lost(self) -> CommandError:
        return CommandError(
            "output.lost",
            f"`{self.settings.output_id}` can't be switched: {self._fault}",
            hint="Check the line's name (`poleside box lines`) and who else holds it.",
        )
