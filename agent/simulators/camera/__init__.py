"""A simulated IP camera: real video over RTSP, and an ONVIF device, in a process of its own."""
