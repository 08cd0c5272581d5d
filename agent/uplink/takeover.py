"""Two boxes with one id: the broker lets the newer connection in and cuts the older one off.

MQTT 3.1.1 does not say why a connection ends. But a broker that takes the login and cuts it off
within seconds, time after time, without ever being away, has most likely been asked by a twin.
"""

from dataclasses import dataclass

from agent.core.errors import LinkError

SHORT_S = 30.0
TIMES = 6  # a broker that restarts again and again is mostly found away in between
CALM_S = 900.0


@dataclass(slots=True)
class Takeovers:
    """Tell it how connections end; `suspected` holds until one has lasted `CALM_S`."""

    cut_short: int = 0
    suspected: bool = False

    def ended(self, lived_s: float, *, by_peer: bool) -> None:
        """An accepted connection ended after `lived_s`, `by_peer` if it was cut off."""
        if by_peer and lived_s < SHORT_S:
            self.cut_short += 1
            self.suspected = self.suspected or self.cut_short >= TIMES
        elif lived_s >= CALM_S:
            self.cut_short, self.suspected = 0, False

    def not_reached(self) -> None:
        """The broker did not answer or refused: that explains the cuts before."""
        self.cut_short = 0


def twin(client_id: str) -> LinkError:
    """Return what to say of it."""
    return LinkError(
        "link.cloned",
        f"Another box seems to be connected as {client_id}: the broker cuts this one off.",
        hint="Find the other box (a copied card?) and give one of them an identity of its own.",
        retryable=True,
    )
