"""What every process needs: the clock, ids, errors, logs, paths, SQLite, framing, supervision signals."""
