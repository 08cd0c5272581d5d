"""A foreign client in a process of its own (importing it changes the root logger): connect, move,
stop, by onvif-zeep's `ONVIFCamera`. Arguments: port, user, password. Prints what it learnt.
"""

import json
import sys

from onvif import ONVIFCamera

port, username, password = sys.argv[1:]
camera = ONVIFCamera("127.0.0.1", int(port), username, password)
device = camera.devicemgmt.GetDeviceInformation()
media, ptz = camera.create_media_service(), camera.create_ptz_service()
profile = media.GetProfiles()[0]
uri = media.GetStreamUri(
    {
        "StreamSetup": {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}},
        "ProfileToken": profile.token,
    }
)
ptz.ContinuousMove(
    {
        "ProfileToken": profile.token,
        "Velocity": {"PanTilt": {"x": 1.0, "y": 0.0}, "Zoom": {"x": 0.0}},
        "Timeout": "PT20S",
    }
)
moving = ptz.GetStatus({"ProfileToken": profile.token}).MoveStatus.PanTilt
ptz.Stop({"ProfileToken": profile.token, "PanTilt": True, "Zoom": True})
status = ptz.GetStatus({"ProfileToken": profile.token})
json.dump(
    {
        "serial": device.SerialNumber,
        "uri": uri.Uri,
        "pan": status.Position.PanTilt.x,
        "moves": [moving, status.MoveStatus.PanTilt],
        "events": any("PullPoint" in name for name in camera.xaddrs),
    },
    sys.stdout,
)
