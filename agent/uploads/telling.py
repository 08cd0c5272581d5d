"""What is said of a file: what it needs of the center, and at its end how it went."""

from agent.contract.commands import Reply, ReplyState
from agent.contract.uploads import MOST_PARTS_ASKED, NEED_UPLOAD, NeedUpload
from agent.core.errors import CommandError
from agent.uploads.queue import Job, State


def need_reply(job: Job) -> Reply:
    """Return what asks the center for addresses, or to put the parts together."""
    need = NeedUpload(
        sha256=job.file.sha256,
        bytes=job.file.size_bytes,
        content_type=job.file.content_type,
        parts_total=len(job.parts),
        parts=tuple(part.number for part in job.missing[:MOST_PARTS_ASKED]),
        sent=() if job.missing else job.sent,
        event=str(job.file.result.get("event", "")),
    )
    return Reply(
        id=job.id,
        state=ReplyState.PROGRESS,
        code=NEED_UPLOAD,
        message="asks where to send the file",
        need=need,
    )


def succeeded(job: Job) -> Job:
    """Return a job that is over. Raises `CommandError` with what it failed by."""
    if job.state is State.FAILED:
        raise CommandError(
            job.code or "upload.failed",
            job.message or "The file could not be sent.",
            hint="Look at the file store, then order it again.",
        )
    return job


def late_reply(job: Job) -> Reply:
    """Return what the center is told of a file whose order was answered before it was over."""
    if job.state is State.FAILED:
        return Reply(id=job.id, state=ReplyState.FAILED, code=job.code, message=job.message)
    return Reply(id=job.id, state=ReplyState.DONE, result={**job.file.result, "uploaded": True})
