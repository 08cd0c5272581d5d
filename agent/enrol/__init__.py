"""Stage: how the box gets its identity from the center, and keeps it fresh."""
