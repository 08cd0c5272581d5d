"""The agent: from a packet to an acknowledged event, from an order to a moving camera."""

__version__ = "0.1.0"
