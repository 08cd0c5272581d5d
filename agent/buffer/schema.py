"""The schema of a camera's `index.db`. Scripts are only ever added; times are UTC microseconds."""

MIGRATIONS = (
    """
    CREATE TABLE runs (
        run_id INTEGER PRIMARY KEY,
        stream TEXT NOT NULL,
        codec TEXT NOT NULL,
        width_px INTEGER NOT NULL,
        height_px INTEGER NOT NULL,
        started_utc_us INTEGER NOT NULL,
        started_mono_us INTEGER NOT NULL,
        boot_id TEXT NOT NULL,
        time_quality TEXT NOT NULL,
        ended_cause TEXT
    );
    CREATE TABLE segments (
        segment_id INTEGER PRIMARY KEY,
        run_id INTEGER NOT NULL REFERENCES runs (run_id),
        path TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
        start_utc_us INTEGER NOT NULL,
        duration_us INTEGER NOT NULL DEFAULT 0,
        frames INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX segments_by_time ON segments (start_utc_us);
    CREATE TABLE gaps (
        gap_id INTEGER PRIMARY KEY,
        from_utc_us INTEGER NOT NULL,
        to_utc_us INTEGER,
        cause TEXT NOT NULL
    );
    CREATE TABLE hits (
        hit_id TEXT PRIMARY KEY,
        made_utc_us INTEGER NOT NULL,
        made_mono_us INTEGER NOT NULL,
        state TEXT NOT NULL,
        body BLOB,
        acked INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE deletions (
        deletion_id INTEGER PRIMARY KEY,
        at_utc_us INTEGER NOT NULL,
        path TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        rule TEXT NOT NULL
    )
    """,
    """
    ALTER TABLE segments ADD COLUMN start_mono_us INTEGER;
    ALTER TABLE segments ADD COLUMN time_quality TEXT NOT NULL DEFAULT 'unproven';
    ALTER TABLE gaps ADD COLUMN from_boot_id TEXT;
    ALTER TABLE gaps ADD COLUMN from_mono_us INTEGER;
    ALTER TABLE gaps ADD COLUMN to_boot_id TEXT;
    ALTER TABLE gaps ADD COLUMN to_mono_us INTEGER;
    CREATE TABLE clock_proofs (boot_id TEXT PRIMARY KEY, offset_us INTEGER NOT NULL);
    CREATE TABLE corrections (
        correction_id INTEGER PRIMARY KEY,
        boot_id TEXT NOT NULL,
        before_mono_us INTEGER NOT NULL,
        shift_us INTEGER NOT NULL,
        made_utc_us INTEGER NOT NULL
    )
    """,
    """
    ALTER TABLE segments ADD COLUMN tier TEXT NOT NULL DEFAULT 'full';
    CREATE INDEX segments_by_run ON segments (run_id, start_utc_us);
    ALTER TABLE deletions ADD COLUMN from_utc_us INTEGER;
    ALTER TABLE deletions ADD COLUMN to_utc_us INTEGER;
    CREATE TABLE locks (
        lock_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('event', 'evidence')),
        from_utc_us INTEGER NOT NULL,
        to_utc_us INTEGER NOT NULL,
        from_boot_id TEXT,
        from_mono_us INTEGER,
        incident_id TEXT NOT NULL,
        approver TEXT NOT NULL,
        made_utc_us INTEGER NOT NULL,
        expires_utc_us INTEGER NOT NULL,
        released_utc_us INTEGER,
        released_why TEXT
    );
    CREATE INDEX locks_held ON locks (released_utc_us, to_utc_us);
    CREATE TABLE journal (
        entry_id INTEGER PRIMARY KEY,
        at_utc_us INTEGER NOT NULL,
        what TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL
    );
    CREATE TABLE purges (
        purge_id INTEGER PRIMARY KEY,
        last_deletion_id INTEGER NOT NULL,
        body BLOB NOT NULL,
        key_id TEXT NOT NULL,
        signature BLOB NOT NULL
    );
    CREATE TABLE copies (
        path TEXT PRIMARY KEY,
        bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        made_utc_us INTEGER NOT NULL
    );
    CREATE TABLE writes (day TEXT PRIMARY KEY, bytes INTEGER NOT NULL, flushes INTEGER NOT NULL);
    CREATE TABLE usage (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        segments INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    );
    INSERT INTO usage SELECT 1, count(*), coalesce(sum(bytes), 0) FROM segments;
    CREATE TRIGGER usage_of_new AFTER INSERT ON segments BEGIN
        UPDATE usage SET segments = segments + 1, bytes = bytes + NEW.bytes;
    END;
    CREATE TRIGGER usage_of_changed AFTER UPDATE OF bytes ON segments BEGIN
        UPDATE usage SET bytes = bytes + NEW.bytes - OLD.bytes;
    END;
    CREATE TRIGGER usage_of_gone AFTER DELETE ON segments BEGIN
        UPDATE usage SET segments = segments - 1, bytes = bytes - OLD.bytes;
    END
    """,
    """
    ALTER TABLE runs ADD COLUMN seam_key BLOB;
    ALTER TABLE runs ADD COLUMN seam_key_mono_us INTEGER;
    ALTER TABLE runs ADD COLUMN seam_mono_us INTEGER
    """,
    """
    ALTER TABLE segments ADD COLUMN stream TEXT NOT NULL DEFAULT 'main';
    CREATE INDEX segments_by_stream ON segments (stream, start_utc_us);
    ALTER TABLE gaps ADD COLUMN stream TEXT NOT NULL DEFAULT 'main'
    """,
    """
    CREATE TABLE unrecorded (
        what TEXT NOT NULL,
        a NOT NULL,
        b NOT NULL DEFAULT 0,
        PRIMARY KEY (what, a, b)
    ) WITHOUT ROWID;
    CREATE TABLE to_restore (
        what TEXT NOT NULL,
        a NOT NULL,
        b NOT NULL DEFAULT 0,
        PRIMARY KEY (what, a, b)
    ) WITHOUT ROWID
    """,
)
