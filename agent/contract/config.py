"""Desired and reported configuration: what the center wants of a box, and what the box made of it.

`dn/cfg` carries a retained JWS whose claims are `Desired`; `up/cfg` the retained `ConfigReport`.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from agent.contract.commands import Actor
from agent.contract.events import Slug, UtcTime


class Desired(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that the center wants changed, as one document over the box's own settings file.

    `settings` is an RFC 7396 merge patch, cameras by `camera_id`; it replaces the one before. A
    null removes what the box's file and page say there: the default counts.
    `version` grows; `base` is the version its author saw reported, so that two authors do not
    overwrite each other unseen. `hash` is `settings_hash(settings)`.

    One that leaves a box that has cameras without any is refused (`config.no_cameras`), unless it
    says by `no_cameras` that this is what it means.
    """

    box: Slug
    version: Annotated[int, Meta(ge=1)]
    base: Annotated[int, Meta(ge=0)]
    hash: str
    settings: dict[str, Any]
    by: Actor
    iat: int
    iss: str
    no_cameras: bool = False


class ConfigStatus(StrEnum):
    NONE = "none"  # the center has never wanted anything
    APPLIED = "applied"
    PARTLY = "partly"  # `errors` says what was left out
    REFUSED = "refused"  # nothing of it is in effect
    ROLLED_BACK = "rolled-back"  # it was, until the box or a camera was lost by it


class ConfigProblem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why something is not in effect. `path` as in `$.cameras[gate].detect_fps`; `$` is all."""

    path: str
    code: str
    message: str = ""


class ConfigReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of `version`; `hash` is of the changes in effect now, whoever made them.

    `on_trial`: they are taken back unless the link and the cameras stay.
    """

    version: int
    hash: str
    status: ConfigStatus
    errors: tuple[ConfigProblem, ...] = ()
    on_trial: bool = False
    t: UtcTime | None = None


def settings_hash(settings: dict[str, Any]) -> str:
    """Return the SHA-256 (hex) of the JSON with sorted keys and no spaces."""
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()
