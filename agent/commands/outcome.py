"""How an order ended, as its reply and as its entry in the audit chain."""

from agent.contract.audit import AuditEntry
from agent.contract.commands import Command, Reply, ReplyState
from agent.core.errors import CommandError, PolesideError


def state_of(error: CommandError) -> ReplyState:
    """Return the state in which an order ends that is not begun for `error`."""
    return ReplyState.EXPIRED if error.code == "command.expired" else ReplyState.REFUSED


def reply_for(command_id: str, state: ReplyState, error: PolesideError) -> Reply:
    """Return the answer that says why not."""
    return Reply(
        id=command_id, state=state, code=error.code, message=error.message, hint=error.hint
    )


def entry_for(command: Command, outcome: str, code: str, sha256: str = "") -> AuditEntry:
    """Return what the audit chain is told of an order."""
    by = command.by
    return AuditEntry(
        command_id=command.id,
        op=command.op,
        actor=by.user,
        agency=by.agency,
        case=by.case,
        outcome=outcome,
        code=code,
        sha256=sha256,
        grant=command.grant.id if command.grant else "",
    )
