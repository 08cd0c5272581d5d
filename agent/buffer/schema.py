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
)
