"""The device: ONVIF connection, profiles, PTZ."""
