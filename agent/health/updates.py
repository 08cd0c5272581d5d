"""From what became of an update to faults."""

from collections.abc import Iterator

from agent.contract.updates import UpdateInfo, UpdateStage
from agent.health.catalogue import fault_of
from agent.health.catalogue.reasons import reason_of
from agent.health.fault import Fault

_CODES = {
    UpdateStage.ROLLED_BACK: "update.rolled_back",
    UpdateStage.REFUSED: "update.refused",
    UpdateStage.FAILED: "update.failed",
}


def update_faults(update: UpdateInfo | None) -> Iterator[Fault]:
    """Tell of an update that came to nothing, until the next one or until it is cancelled."""
    if update is not None and update.stage in _CODES:
        why = reason_of(update.why or update.code, update.code)
        yield fault_of(_CODES[update.stage], "update", version=update.version, why=why)
