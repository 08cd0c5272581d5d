"""The MQTT link: connection, sender, presence, telemetry, inbound."""
