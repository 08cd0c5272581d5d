"""The command line's notes for the audit chain: who did what with recordings, locks and keys."""

from __future__ import annotations

from getpass import getuser
from pathlib import Path

import click


def note(
    data_dir: Path,
    op: str,
    *,
    by: str = "",
    case: str = "",
    command_id: str = "",
    outcome: str = "done",
    code: str = "",
    detail: str = "",
    sha256: str = "",
) -> None:
    """Have the audit chain tell what was done; a disk that can't be written is said so, not hid."""
    from agent.contract.audit import AuditEntry
    from agent.core.clock import SystemClock
    from agent.outbox.spool import spool

    entry = AuditEntry(
        command_id=command_id,
        op=op,
        actor=by or local_user(),
        case=case,
        outcome=outcome,
        code=code,
        detail=detail,
        sha256=sha256,
    )
    try:
        spool(data_dir, entry, SystemClock())
    except OSError as error:
        click.echo(f"Not in the audit chain: {data_dir} can't be written ({error}).", err=True)


def local_user() -> str:
    """Return who is logged in at the box."""
    return f"local:{getuser()}"
