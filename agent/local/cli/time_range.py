"""A time range as people give it on the command line."""

from datetime import UTC, datetime, timedelta

from agent.core.errors import SettingsError


def time_range(
    since: str | None, until: str | None, last_s: float | None
) -> tuple[datetime, datetime]:
    """Return (from, to) in UTC. Raises `SettingsError` saying what is missing or wrong."""
    from agent.core.clock import SystemClock

    if last_s is not None:
        now = SystemClock().utc_now()
        return now - timedelta(seconds=last_s), now
    if since is None or until is None:
        raise SettingsError(
            "clip.no_range",
            "No time range was given.",
            hint="Give --from and --to, or --last SECONDS.",
        )
    begin, end = _time(since), _time(until)
    if begin >= end:
        raise SettingsError("clip.bad_range", "--from must be before --to.", hint="Swap them.")
    return begin, end


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            "clip.bad_time",
            f"`{text}` is not an ISO 8601 time.",
            hint="Write it like 2026-11-22T02:00:00Z.",
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)
