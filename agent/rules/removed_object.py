"""Something that always was there is gone: the ground shows where it lay."""

from agent.contract.events import EventKind
from agent.rules.abandoned_object import AbandonedObject


class RemovedObject(AbandonedObject):
    """Began: a thing of the scene was gone for `still_s`. Ended: it is back, or forgotten."""

    kind = EventKind.REMOVED_OBJECT
