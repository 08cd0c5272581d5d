"""The agent on the box: from a camera's packet to an acknowledged event, and from a command to a moving camera."""

__version__ = "0.1.0"
