"""The durable queue to the center: deleted only on the center's own acknowledgement."""
