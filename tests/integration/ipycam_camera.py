"""A foreign camera in a process of its own: ipycam's ONVIF side, without streams.

Arguments: port, user, password. Prints "ready" when it listens.
"""

import sys

from ipycam.camera import IPCamera, ReusableThreadingTCPServer
from ipycam.config import CameraConfig
from ipycam.http import IPCameraHTTPHandler

port, username, password = sys.argv[1:]
config = CameraConfig(
    local_ip="127.0.0.1", onvif_port=int(port), username=username, password=password
)
IPCameraHTTPHandler.camera = IPCamera(config)
with ReusableThreadingTCPServer(("127.0.0.1", int(port)), IPCameraHTTPHandler) as server:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()
