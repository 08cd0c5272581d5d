"""Camera streams into packets: RTSP and file sources, reconnect, stall detection, stream time."""
