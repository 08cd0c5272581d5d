"""GStreamer's RTSP server, taking ANNOUNCE and RECORD: `gst_relay.py PORT FILE h264|h265`.

Run by Debian's own Python: PyGObject and GStreamer come from there.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PORT, FILE, CODEC = sys.argv[1:]
Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=PORT)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
factory.set_launch(
    f"( rtp{CODEC}depay name=depay0 ! {CODEC}parse"
    f" ! matroskamux streamable=true ! filesink sync=false location={FILE} )"
)
server.get_mount_points().add_factory("/gate", factory)
server.attach(None)
GLib.MainLoop().run()
