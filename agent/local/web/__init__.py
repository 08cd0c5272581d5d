"""The page on the box: what it shows, and the door in front of it."""
