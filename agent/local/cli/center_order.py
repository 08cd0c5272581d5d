"""What the stand-in's orders that rest on a grant have in common: on whose behalf, and why."""

import asyncio
import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.contract.grants import AnkletTrigger, Audience, Reason
from agent.core.errors import SettingsError
from agent.local.cli.answer import always_json
from agent.local.cli.clip_lacks import WITH_HOLES, is_not_given

if TYPE_CHECKING:
    from agent.contract.commands import Actor, Args, Reply
    from agent.contract.grants import Sink
    from agent.settings.model import BrokerSettings
    from agent.simulators.center.fetching import Fetch
    from agent.simulators.center.granting import Occasion
    from agent.simulators.center.live_voice import LiveVoice


def occasion_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the arguments `occasion` (`Occasion`) and `by` (`Actor`)."""

    @functools.wraps(command)
    def with_occasion(
        audience: str, reason: str, trigger: str, incident: str, user: str, **others: Any
    ) -> None:
        from agent.contract.commands import Actor
        from agent.simulators.center.granting import Occasion

        purpose = f"{others['box']}: {incident}"
        occasion = Occasion(Audience(audience), Reason(reason), purpose, trigger)
        command(occasion=occasion, by=Actor(user=user, role="operator", case=incident), **others)

    with_options: Callable[..., None] = with_occasion
    for option in (
        always_json,
        click.option("--audience", default="operator", type=_words(Audience), show_default=True),
        click.option("--reason", default="traffic", type=_words(Reason), show_default=True),
        click.option("--trigger", default="", type=_words(AnkletTrigger, "")),
        click.option("--incident", default="trial", show_default=True, help="The case; audited."),
        click.option("--user", default="operator", show_default=True, help="Who orders; audited."),
    ):
        with_options = option(with_options)
    return with_options


def give(
    link: "BrokerSettings",
    data_dir: Path,
    site: str,
    box: str,
    told: dict[str, Any],
    by: "Actor",
    occasion: "Occasion",
    sink: "Sink | None" = None,
    fetch: "Fetch | None" = None,
    show: Callable[["Reply"], None] | None = None,
    voice: "LiveVoice | None" = None,
) -> int:
    """Give the order `told`, `show` (print) each reply, return the exit code: 0 when it was done.

    3: it was, but the box could not read all of what it had recorded.

    `fetch` takes its file in; one that waits at the box is not done. `voice` is heard meanwhile.
    Raises `SettingsError` order.malformed.
    """
    import msgspec

    from agent.contract.topics import BoxAddress
    from agent.core import log
    from agent.core.clock import SystemClock
    from agent.simulators.center.guest import Guest

    log.configure("center", "error")
    guest = Guest(SystemClock(), link, data_dir, BoxAddress(site, box))
    occasion = replace(occasion, sink=sink) if sink else occasion
    echo = show or (lambda reply: click.echo(msgspec.json.encode(reply).decode()))
    given = functools.partial(guest.order, as_args(told), by, 20.0, echo, occasion, fetch)
    last = asyncio.run(given() if voice is None else voice.during(given))
    is_done = last.state.value == "done" and (last.result or {}).get("uploaded", True)
    if not is_done:
        return 1
    return WITH_HOLES if is_not_given((last.result or {}).get("holes", ())) else 0


def as_args(told: dict[str, Any]) -> "Args":
    """Return the order. Raises `SettingsError` order.malformed."""
    import msgspec

    from agent.contract.commands import Args

    try:
        return msgspec.convert(told, Args)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise SettingsError(
            "order.malformed", f"The order can't be made: {error}.", hint="See `--help`."
        ) from error


def _words(kind: Any, *others: str) -> click.Choice[str]:
    return click.Choice([*others, *(word.value for word in kind)])
