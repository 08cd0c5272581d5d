"""What a technician at the page changes of the box's settings, each checked and on trial.

Page -> here -> `DesiredConfig.set_here` -> `local.json`, audit chain, and the processes it touches.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, structs

from agent.commands.desired import DesiredConfig
from agent.contract.commands import Actor
from agent.core.errors import SettingsError
from agent.local.access.people import Person
from agent.settings.model import CameraSettings
from agent.settings.rules import Point, Rule

DRAWN_KINDS: Final = ("intrusion", "loitering", "line-crossing", "abandoned-object")
_OUTLINES: Final = ("zone", "line", "gauge")


class DrawnRule(Struct, frozen=True, kw_only=True):
    """A rule as it is drawn: `points` are fractions of the picture."""

    rule_id: str
    kind: str
    points: tuple[Point, ...]
    is_on: bool


class CenterWay(Struct, frozen=True, kw_only=True):
    """How the center is reached; `confirm_within_s` is None when nothing waits for a word."""

    urls: tuple[str, ...]
    username: str
    confirm_within_s: float | None


class SetupChanges:
    """Every change is all or nothing; raises `SettingsError` with nothing changed."""

    def __init__(self, config: DesiredConfig) -> None:
        self._config = config

    async def add_camera(
        self, camera_id: str, name: str, reached: Mapping[str, str], by: Person
    ) -> None:
        """Add a camera that was verified; the box takes it up at once."""
        if self._config.settings.camera(camera_id) is not None:
            raise SettingsError("setup.taken", f"There is a camera `{camera_id}` already.")
        camera = {"camera_id": camera_id, "name": name[:64], **reached}
        await self._set({"cameras": [camera]}, by)

    async def swap_camera(self, camera_id: str, reached: Mapping[str, str], by: Person) -> None:
        """Put a camera that was verified in the place of another; all else of the place stays."""
        there = {"camera_id": camera_id, "main_url": "", "sub_url": "", **reached}
        await self._set({"cameras": [there]}, by)

    def camera(self, camera_id: str, by: Person) -> CameraSettings | None:
        """Return a camera of the box, None when there is none that `by` may see."""
        return self._config.settings.camera(camera_id) if by.sees(camera_id) else None

    def rules(self, camera: CameraSettings) -> list[DrawnRule]:
        """Return a camera's rules, those that are off too."""
        return [
            DrawnRule(
                rule_id=rule.rule_id, kind=rule.kind.value, points=rule.outline, is_on=rule.is_on
            )
            for rule in camera.rules
        ]

    async def put_rule(
        self, camera: CameraSettings, rule_id: str, kind: str, points: str, by: Person
    ) -> None:
        """Give a rule another outline, or make a new one of `DRAWN_KINDS`; `points` are JSON."""
        try:
            outline = msgspec.json.decode(points, type=tuple[tuple[float, float], ...])
        except msgspec.MsgspecError as error:
            raise SettingsError("settings.invalid", f"`points`: {error}.") from error
        rules = {rule.rule_id: _told(rule) for rule in camera.rules}
        rule = rules.get(rule_id)
        if rule is None:
            if kind not in DRAWN_KINDS:
                raise SettingsError("settings.invalid", f"`{kind}` can't be drawn.")
            rule = {"kind": kind, "rule_id": rule_id}
            rule["line" if kind == "line-crossing" else "zone"] = outline
        else:
            rule[next(name for name in _OUTLINES if name in rule)] = outline
        await self._set_rules(camera, {**rules, rule_id: rule}, by)

    async def remove_rule(self, camera: CameraSettings, rule_id: str, by: Person) -> None:
        """Take a rule away."""
        rules = {rule.rule_id: _told(rule) for rule in camera.rules}
        if rules.pop(rule_id, None) is None:
            raise SettingsError("setup.no_rule", f"There is no rule `{rule_id}`.")
        await self._set_rules(camera, rules, by)

    async def put(self, camera: CameraSettings, told: Mapping[str, Any], by: Person) -> None:
        """Change some of a camera's settings."""
        await self._set({"cameras": [{"camera_id": camera.camera_id, **told}]}, by)

    def way(self) -> CenterWay:
        """Return how the center is reached, and whether a change of it waits to be confirmed."""
        broker = self._config.settings.broker
        return CenterWay(
            urls=broker.urls,
            username=broker.username,
            confirm_within_s=self._config.confirm_within_s,
        )

    async def put_way(self, url: str, username: str, password: str, by: Person) -> None:
        """Reach the center another way: taken back unless confirmed within five minutes.

        Without a name and a password those in force stay, but no other host is shown a password.
        """
        broker: dict[str, Any] = {"urls": [url]}
        now = self._config.settings.broker
        is_known = _host(url) in {_host(one) for one in now.urls}
        if now.password and not password and not is_known:
            raise SettingsError(
                "setup.password_anew", "Another host needs its name and password with it."
            )
        if username or password:
            broker |= {"username": username, "password": password}
        await self._set({"broker": broker}, by, needs_word=True)

    async def confirm(self) -> bool:
        """Keep what was changed. False: nothing waits for it."""
        return await self._config.confirm()

    async def _set_rules(
        self, camera: CameraSettings, rules: Mapping[str, dict[str, Any]], by: Person
    ) -> None:
        await self.put(camera, {"rules": list(rules.values())}, by)

    async def _set(self, patch: dict[str, Any], by: Person, *, needs_word: bool = False) -> None:
        actor = Actor(user=f"page:{by.name}", role=by.role.value)
        try:
            await self._config.set_here(patch, actor, needs_word=needs_word)
        except OSError as error:
            raise SettingsError("settings.not_stored", f"It can't be stored: {error}.") from error


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or url
    except ValueError:  # no address at all: the settings' check will say so
        return url


def _told(rule: Rule) -> dict[str, Any]:
    """Return a rule as a person would write it: without what is the default."""
    whole: dict[str, Any] = msgspec.to_builtins(rule)
    usual = {field.name: field.default for field in structs.fields(rule)}
    return {
        name: value
        for name, value in whole.items()
        if name == "kind" or getattr(rule, name) != usual[name]
    }
