"""What waits for the center, read beside the running agent or from a taken disk."""

import sqlite3

from msgspec import Struct

MOST_FILES = 200


class UploadReport(Struct, frozen=True, kw_only=True):
    """One file, by the id of its order, or the one an alarm gave it."""

    id: str
    state: str
    content_type: str
    bytes: int
    sha256: str
    parts_total: int
    parts_sent: int
    deadline: str
    code: str
    message: str

    @property
    def is_final(self) -> bool:
        """Whether nothing more is sent of it."""
        return self.state in {"done", "failed"}


class UploadsReport(Struct, frozen=True, kw_only=True):
    """All of it; `sent_today_bytes` is of the last UTC day on which anything was sent."""

    waiting: int
    sent_today_bytes: int
    files: tuple[UploadReport, ...]


def report(connection: sqlite3.Connection) -> UploadsReport:
    """Return the files that wait and the newest that failed."""
    rows = connection.execute(
        "SELECT u.id, state, content_type, bytes, sha256, deadline, code, message,"
        " count(p.number) AS parts_total, count(p.etag) AS parts_sent"
        " FROM uploads u LEFT JOIN upload_parts p ON p.id = u.id WHERE state != 'done'"
        " GROUP BY u.id ORDER BY state = 'failed', priority DESC, u.id LIMIT ?",
        (MOST_FILES,),
    )
    files = tuple(UploadReport(**dict(row)) for row in rows)
    day = connection.execute("SELECT bytes FROM upload_days ORDER BY day DESC LIMIT 1").fetchone()
    return UploadsReport(
        waiting=sum(not file.is_final for file in files),
        sent_today_bytes=0 if day is None else day["bytes"],
        files=files,
    )
