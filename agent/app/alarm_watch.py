"""Counts the alarms of the last day for telemetry, and says when they are too many."""

from collections.abc import Iterator

from agent.contract.telemetry import AlarmSample, TrialSample
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.db import Database
from agent.events import meter, shadow
from agent.events.alarms import LIMITED
from agent.events.assembler import Assembler
from agent.events.incidents import open_keys
from agent.events.meter import AlarmCount
from agent.health.alarms import alarm_faults
from agent.health.fault import Fault
from agent.settings.model import Settings

COUNT_EVERY_S = 30.0


class AlarmWatch(Service):
    """Keeps the counts fresh; `use` may be called again while it runs."""

    name = "alarm-meter"

    def __init__(
        self, db: Database, assembler: Assembler, settings: Settings, clock: Clock
    ) -> None:
        super().__init__(clock)
        self._db, self._assembler = db, assembler
        self.use(settings)
        self._counts: dict[str, AlarmCount] = {}
        self._limited: frozenset[str] = frozenset()
        self.trials: list[shadow.Trial] = []

    def use(self, settings: Settings) -> None:
        """Take over how alarms are merged, limited and budgeted."""
        self._budget = settings.alarms.false_per_day
        self._assembler.use(settings)

    async def run(self) -> None:
        while True:
            self.progressed()
            self._counts = await self._db.run(lambda c: meter.count(c, self._clock.utc_now()))
            self.trials = await self._db.run(self._assembler.trials)
            keys = await self._db.run(lambda c: open_keys(c, "rule/"))
            self._limited = frozenset(key.split("/")[1] for key in keys if key.endswith(LIMITED))
            await self._clock.sleep_s(COUNT_EVERY_S)

    def sample(self, camera_id: str) -> AlarmSample:
        """Return one camera's last 24 hours for the telemetry."""
        known = self._counts.get(camera_id, AlarmCount())
        return AlarmSample(
            raised=known.raised,
            lowered=known.lowered,
            limited=known.limited,
            judged_true=known.judged_true,
            judged_false=known.judged_false,
            shadow=known.shadow,
            trials=tuple(
                TrialSample(
                    rule_id=trial.rule_id,
                    days=trial.days,
                    lasted_days=round(trial.lasted_days, 2),
                    raised=trial.raised,
                )
                for trial in self.trials
                if trial.camera_id == camera_id
            ),
        )

    def faults(self) -> Iterator[Fault]:
        """Tell of cameras over their budget of false alarms, and of what is limited."""
        rations = self._assembler.rations
        return alarm_faults(
            {camera_id: known.judged_false for camera_id, known in self._counts.items()},
            self._budget,
            self._limited,
            is_weather=rations.settings.weather == "on" or rations.weather_until is not None,
        )
