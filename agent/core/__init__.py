"""What every process needs: clock, ids, errors, logs, SQLite, framing, supervision signals."""
