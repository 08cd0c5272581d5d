"""A camera's tape whose index is written a second time, and can be lost."""

import json
from pathlib import Path

from agent.buffer import journal, ledger
from agent.buffer.duplicate import Duplicate
from agent.buffer.index import INDEX_FILE, from_micros
from agent.buffer.ledger import Ledger
from agent.buffer.rebuild import open_index
from agent.buffer.recorder import Recorder
from agent.buffer.recovery import recover
from agent.buffer.restoring import Restoring
from agent.evidence.known_keys import verifier_of
from agent.evidence.schema import PART
from tests.chained_tape import ChainedTape, poleside
from tests.recording import BOOT

KEPT = (
    *("runs", "segments", "gaps", "minutes", "rates", "deletions", "purges", "locks"),
    *("chain_runs", "segment_gops", "signed_heads", "chain_head", "corrections", "usage"),
)


class Doubled(ChainedTape):
    """A camera's tape as its worker has it: chain, ledger and duplicate."""

    def __init__(self, data_dir, **settings):
        super().__init__(data_dir, **settings)
        self.index.close()
        self.open()

    def open(self):
        """Open the index as a worker does when it starts."""
        verifies = verifier_of(self.data_dir)
        self.index = open_index(self.folder, [ledger.PART, PART], self.clock, verifies)
        self.restoring = Restoring(self.folder, self.index, self.clock, verifies)
        self.restoring.run()
        recover(self.folder, self.index, BOOT, [self.chain])
        self.duplicate = Duplicate(self.folder, self.index, self.clock, self.sign)
        self.retention._index = self.index
        self.recorder = Recorder(
            self.folder,
            self.index,
            self.retention,
            self.settings,
            self.clock,
            BOOT,
            observers=[Ledger(), self.chain],
        )

    def sign(self, body):
        return self.key.public.fingerprint, self.key.sign(body)

    def lose(self, how="deleted"):
        """The worker dies, and its index with it."""
        self.index._db.close()
        path = self.folder / INDEX_FILE
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        if how == "deleted":
            path.unlink()
        else:
            path.write_bytes(b"\0" * path.stat().st_size)

    def told(self, what):
        """Return the journal's details of one kind."""
        return [row["detail"] for row in self.rows("journal") if row["what"] == what]

    def verdict(self, tmp_path):
        """Export all that is there by the command line, and verify it there."""
        rows = self.segments()
        since, until = from_micros(rows[0]["start_utc_us"]), self.clock.utc_now()
        out = self.export(since, until, tmp_path / "clip.mp4")
        public = self.data_dir / "keys" / "box-p256.jwk.json"
        done = poleside("clip", "verify", out, "--box-key", public, "--json")
        return done.returncode, json.loads(done.stdout)

    def content(self):
        tables = {table: self.index._db.execute(f"SELECT * FROM {table}") for table in KEPT}
        return {table: [dict(row) for row in rows] for table, rows in tables.items()}


def with_two_runs(data_dir: Path, clip: Path) -> Doubled:
    """Return two runs with a gap between them, an hour old, of which two segments were deleted."""
    made = Doubled(data_dir)
    made.record(clip)
    made.clock.pass_s(3600)
    made.record(clip)
    made.retention.delete(
        [
            journal.Doomed(row["segment_id"], row["path"], row["bytes"], 0, 1, "age")
            for row in made.segments()[:2]
        ]
    )
    journal.sign_deletions(made.index, "gate", made.sign, made.clock.utc_now())
    return made
