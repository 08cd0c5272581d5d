"""The agent on the box: from a packet to an acknowledged event, from a command to a moving camera."""

__version__ = "0.1.0"
