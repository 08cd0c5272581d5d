"""The technician's way through a new box: its self-test, the cameras found, each one verified."""
