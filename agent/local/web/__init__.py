"""The page on the box; loopback only."""
