"""A time range of the buffer becomes one playable file, by packet copy."""
