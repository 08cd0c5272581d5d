"""GStreamer's ONVIF server with an audio back-channel: `gst_loudspeaker.py PORT FILE`.

What is said is decoded and written to FILE (16 bit, 8 kHz). Run by Debian's own Python.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PORT, FILE = sys.argv[1:]
Gst.init(None)
server = GstRtspServer.RTSPOnvifServer(address="127.0.0.1", service=PORT)
factory = GstRtspServer.RTSPOnvifMediaFactory()
# Who only speaks sets no video up, and GStreamer's source ends then with "not-linked", an error of
# the whole media: it stops the loudspeaker, too, if that has not begun yet. So somebody watches.
factory.set_launch(
    "( videotestsrc is-live=true ! video/x-raw,format=I420 ! tee name=seen ! jpegenc"
    " ! rtpjpegpay name=pay0 seen. ! fakesink async=false sync=false )"
)
factory.set_backchannel_launch(
    "( capsfilter caps=application/x-rtp,media=audio,payload=0,clock-rate=8000,encoding-name=PCMU"
    " name=depay_backchannel ! rtppcmudepay ! mulawdec"
    f" ! filesink buffer-mode=unbuffered async=false sync=false location={FILE} )"
)
factory.set_shared(False)
factory.set_media_gtype(GstRtspServer.RTSPOnvifMedia)
server.get_mount_points().add_factory("/main", factory)
server.attach(None)
GLib.MainLoop().run()
