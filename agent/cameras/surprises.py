"""The edge of all that speaks with a camera: what nobody thought of comes out as a typed error.

A camera's answer passes through parsers of others and of ours; whatever one of them trips over is
that camera's bad answer, and must end neither a thread nor the care of the other cameras.
"""

from collections.abc import Callable
from typing import TypeVar

from agent.cameras.port import CameraBadResponse
from agent.core.errors import PolesideError
from agent.core.log import get

T = TypeVar("T")


def typed(work: Callable[[], T]) -> T:
    """Do `work`; raises `PolesideError` and nothing else."""
    try:
        return work()
    except PolesideError:
        raise
    except Exception as error:
        get("cameras").error("a camera's answer broke its reader", exc_info=error)
        text = f"the answer makes no sense to us ({type(error).__name__})"
        raise CameraBadResponse(text) from error
