"""Rule hits into events with a life cycle new, update, end."""
