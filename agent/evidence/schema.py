"""The tables of evidence in a camera's `index.db`, beside runs and segments.

A segment's GOPs are one row, 44 bytes a GOP. Rows outlive their segment by ten minutes of video
when a segment before them is kept: the signed head that covers it may lie behind them.
"""

from agent.core.sqlite import Part

KEPT_BEHIND_US = 600_000_000

PART = Part(
    "evidence",
    (
        f"""
        CREATE TABLE chain_runs (
            run_id INTEGER PRIMARY KEY,
            header BLOB NOT NULL
        );
        CREATE TABLE segment_gops (
            segment_id INTEGER PRIMARY KEY,
            run_id INTEGER NOT NULL,
            first_seq INTEGER NOT NULL,
            start_us INTEGER NOT NULL,
            origin INTEGER NOT NULL,
            link_before BLOB NOT NULL,
            gops BLOB NOT NULL
        );
        CREATE INDEX segment_gops_by_run ON segment_gops (run_id, first_seq);
        CREATE TABLE thinned_gops (
            segment_id INTEGER PRIMARY KEY,
            tails BLOB NOT NULL
        );
        CREATE TABLE signed_heads (
            run_id INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            signed_us INTEGER NOT NULL,
            clock_quality TEXT NOT NULL,
            key_id TEXT NOT NULL,
            signature BLOB NOT NULL,
            PRIMARY KEY (run_id, seq)
        ) WITHOUT ROWID;
        CREATE TABLE chain_head (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            run_id INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            link BLOB NOT NULL,
            media_us INTEGER NOT NULL,
            signed_seq INTEGER NOT NULL,
            signed_media_us INTEGER NOT NULL
        );
        CREATE TRIGGER evidence_of_deleted AFTER DELETE ON segments BEGIN
            DELETE FROM segment_gops WHERE run_id = OLD.run_id
                AND segment_id BETWEEN OLD.segment_id AND OLD.segment_id + 1000
                AND start_us <= {KEPT_BEHIND_US} + (
                    SELECT g.start_us FROM segment_gops g WHERE g.segment_id = OLD.segment_id)
                AND NOT EXISTS (
                    SELECT 1 FROM segments s JOIN segment_gops k USING (segment_id)
                    WHERE k.run_id = segment_gops.run_id
                        AND k.first_seq <= segment_gops.first_seq
                        AND k.start_us >= segment_gops.start_us - {KEPT_BEHIND_US});
        END;
        CREATE TRIGGER heads_of_deleted AFTER DELETE ON segment_gops BEGIN
            DELETE FROM thinned_gops WHERE segment_id = OLD.segment_id;
            DELETE FROM signed_heads WHERE run_id = OLD.run_id AND seq < coalesce(
                (SELECT min(first_seq) FROM segment_gops WHERE run_id = OLD.run_id),
                9223372036854775807);
            DELETE FROM chain_runs WHERE run_id = OLD.run_id
                AND NOT EXISTS (SELECT 1 FROM segment_gops WHERE run_id = OLD.run_id);
        END
        """,  # noqa: S608 - a constant of this file
        """
        CREATE TABLE sub_chain_head (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            run_id INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            link BLOB NOT NULL,
            media_us INTEGER NOT NULL,
            signed_seq INTEGER NOT NULL,
            signed_media_us INTEGER NOT NULL
        )
        """,
    ),
)
