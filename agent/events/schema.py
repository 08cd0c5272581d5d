"""The core's tables about alarms, beside the incidents: members, spots, verdicts, shadows."""

ALARMS = """
CREATE TABLE incident_members (
    member TEXT PRIMARY KEY, key TEXT NOT NULL, boot INTEGER NOT NULL, last_mono_s REAL NOT NULL,
    ended_mono_s REAL, ended_utc_us INTEGER, reason TEXT);
CREATE INDEX incident_members_by_key ON incident_members (key);
CREATE INDEX incidents_by_key ON incidents (key, started_utc_us);
CREATE TABLE alarm_spots (
    event_id TEXT PRIMARY KEY, camera_id TEXT NOT NULL, family TEXT NOT NULL,
    x REAL NOT NULL, y REAL NOT NULL, minute INTEGER NOT NULL);
CREATE TABLE verdicts (
    event_id TEXT PRIMARY KEY, at_utc_us INTEGER NOT NULL, by TEXT NOT NULL,
    is_true INTEGER NOT NULL, camera_id TEXT NOT NULL, family TEXT NOT NULL,
    x REAL, y REAL, minute INTEGER);
CREATE INDEX verdicts_by_place ON verdicts (camera_id, family);
CREATE TABLE shadow_rules (
    member TEXT PRIMARY KEY, definition TEXT NOT NULL, since_utc_us INTEGER NOT NULL);
CREATE TABLE shadow_alarms (
    hit_id TEXT PRIMARY KEY, member TEXT NOT NULL, camera_id TEXT NOT NULL, kind TEXT NOT NULL,
    labels TEXT NOT NULL, began_utc_us INTEGER NOT NULL, ended_utc_us INTEGER, picture BLOB);
CREATE INDEX shadow_alarms_by_time ON shadow_alarms (camera_id, began_utc_us);
"""

TRIALS = """
ALTER TABLE shadow_rules ADD COLUMN days REAL NOT NULL DEFAULT 0;
ALTER TABLE shadow_rules ADD COLUMN raised INTEGER NOT NULL DEFAULT 0;
"""

# 0: began by a clock that nobody vouched for; 1: dated; 2: over, whatever a clock says later.
STAGES = """
ALTER TABLE shadow_rules ADD COLUMN stage INTEGER NOT NULL DEFAULT 1;
"""
