"""Is a contact really active? Debounce, changeover wires, a stuck button: one pure state machine.

It is told of every edge and asked to judge at `due_s`; it never looks at a clock itself. A press is
dated by its first edge, so debouncing delays the telling and not the time told; one that is over
before anybody asked is told all the same.
"""

from collections import deque
from dataclasses import dataclass

from agent.messages.pole import ContactState

WIRE_PATIENCE_S = 0.5  # so long both wires of a changeover contact may agree while it travels
CHATTER_EDGES, CHATTER_WITHIN_S = 60, 10.0
QUIET_AGAIN_S = 2.0  # what stands still for so long is believed again, a press too


@dataclass(frozen=True, slots=True)
class Change:
    """The contact is now `state`, since `mono_s`."""

    state: ContactState
    was: ContactState
    mono_s: float


class Contact:
    """One contact with one wire, or two that exclude each other."""

    def __init__(
        self,
        debounce_s: float,
        stuck_after_s: float | None = None,
        *,
        is_active: bool,
        is_closed: bool | None = None,
        mono_s: float,
        release_s: float | None = None,
        wire_s: float = WIRE_PATIENCE_S,
        state: ContactState = ContactState.UNKNOWN,
    ) -> None:
        """`release_s`: how long it must rest until it is let go; None: as `debounce_s`.

        `wire_s`: how long both wires may agree. `state`: what is known already and not told again.
        """
        self._debounce_s, self._stuck_after_s = debounce_s, stuck_after_s
        self._release_s = debounce_s if release_s is None else release_s
        self._wire_s = wire_s
        self.is_active, self.is_closed = is_active, is_closed  # the wires, as last heard
        self.state, self._since_s = state, mono_s
        self._raw, self._raw_since_s, self._settled_s = self._read(), mono_s, mono_s
        self._edges: deque[float] = deque()
        self._unsaid: deque[Change] = deque()

    def edge(self, *, is_active: bool, mono_s: float) -> None:
        """The contact's own wire changed."""
        self._settle(mono_s)
        self.is_active = is_active
        self._note(mono_s)

    def closed_edge(self, *, is_active: bool, mono_s: float) -> None:
        """The second wire of a changeover contact changed."""
        self._settle(mono_s)
        self.is_closed = is_active
        self._note(mono_s)

    def due_s(self) -> float | None:
        """Return when to `judge` next if no edge comes; None: nothing is pending."""
        return self._unsaid[0].mono_s if self._unsaid else self._due_s()

    def judge(self, now_s: float) -> Change | None:
        """Return what has become of the contact, None when nothing has."""
        return self._unsaid.popleft() if self._unsaid else self._judge(now_s)

    def _settle(self, mono_s: float) -> None:
        """Before an edge: what had lasted long enough by then has happened, whoever looked."""
        due_s = self._due_s()
        while due_s is not None and due_s <= mono_s:
            change = self._judge(due_s)
            if change is None:
                return
            self._unsaid.append(change)
            due_s = self._due_s()

    def _due_s(self) -> float | None:
        if self.state is ContactState.CHATTERING:
            return self._settled_s + QUIET_AGAIN_S
        if self._raw is not self._settled_state():
            return self._settled_s + self._patience_s()
        if self.state is ContactState.ACTIVE and self._stuck_after_s is not None:
            return self._since_s + self._stuck_after_s
        return None

    def _judge(self, now_s: float) -> Change | None:
        if self.state is ContactState.CHATTERING:
            if now_s < self._settled_s + QUIET_AGAIN_S:
                return None
            self._edges.clear()
            return self._become(self._raw, self._settled_s)
        if self._chatters():
            return self._become(ContactState.CHATTERING, now_s)
        due_s = self._due_s()
        if due_s is None or now_s < due_s:
            return None
        if self._raw is not self._settled_state():
            return self._become(self._raw, self._raw_since_s)
        return self._become(ContactState.STUCK, now_s)

    def _note(self, mono_s: float) -> None:
        raw = self._read()
        if raw is not self._raw:
            if mono_s - self._settled_s >= self._debounce_s:
                self._raw_since_s = mono_s  # the first edge after some rest: a change begins
            self._raw = raw
        self._settled_s = mono_s
        self._edges.append(mono_s)
        while len(self._edges) > CHATTER_EDGES:
            self._edges.popleft()

    def _read(self) -> ContactState:
        if self.is_closed is not None and self.is_closed is self.is_active:
            return ContactState.BROKEN
        return ContactState.ACTIVE if self.is_active else ContactState.IDLE

    def _settled_state(self) -> ContactState:
        return ContactState.ACTIVE if self.state is ContactState.STUCK else self.state

    def _patience_s(self) -> float:
        if self._raw is ContactState.BROKEN:
            return self._wire_s
        return self._debounce_s if self._raw is ContactState.ACTIVE else self._release_s

    def _chatters(self) -> bool:
        full = len(self._edges) == CHATTER_EDGES
        return full and self._edges[-1] - self._edges[0] <= CHATTER_WITHIN_S

    def _become(self, state: ContactState, mono_s: float) -> Change:
        was, self.state, self._since_s = self.state, state, mono_s
        return Change(state, was, mono_s)
