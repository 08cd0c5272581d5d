"""Faults of the cameras' control side, in English and Korean."""

from agent.health.catalogue.words import YELLOW, Words

ONVIF: dict[str, Words] = {
    "camera.exchanged": Words(
        YELLOW,
        "Another camera hangs in the place of {camera}; its calibration must be checked.",
        "카메라 {camera}: 다른 카메라로 교체되었습니다. 보정값을 확인해야 합니다.",
        "Check zones and calibration, then confirm with `poleside cameras confirm`.",
        "감시 구역과 보정값을 확인한 뒤 `poleside cameras confirm`로 확정하세요.",
    ),
    "camera.candidate": Words(
        YELLOW,
        "Camera {camera} is away; what answers at {where} may be it.",
        "카메라 {camera}: 응답이 없으며, {where}의 장비가 이 카메라일 수 있습니다.",
        "Look which camera it is; if it is this one, put the address into the settings.",
        "어느 카메라인지 확인하고, 맞으면 설정의 주소를 바꾸세요.",
    ),
    "camera.shared_mac": Words(
        YELLOW,
        "Camera {camera} and another device have one MAC address ({where}).",
        "카메라 {camera}: 다른 장비와 MAC 주소가 같습니다 ({where}).",
        "Look which of them is the camera: one is a copy, or both are of a maker that is careless.",
        "어느 쪽이 카메라인지 확인하세요. 한쪽이 복제됐거나 제조사가 같은 주소를 쓴 것입니다.",
    ),
    "camera.set_up_otherwise": Words(
        YELLOW,
        "Somebody changed settings of camera {camera} ({what}).",
        "카메라 {camera}: 카메라 설정이 변경되었습니다 ({what}).",
        "Keep them with `poleside cameras confirm`, or set them back in the camera.",
        "유지하려면 `poleside cameras confirm`, 아니면 카메라에서 되돌리세요.",
    ),
    "camera.no_events": Words(
        YELLOW,
        "Camera {camera} does not tell its events: a bell on it would not be heard.",
        "카메라 {camera}: 이벤트를 보내지 않습니다. 연결된 비상벨이 울리지 않을 수 있습니다.",
        "Switch ONVIF events on in the camera; if all its places are taken, restart it.",
        "카메라에서 ONVIF 이벤트를 켜세요. 연결 수가 가득 찼다면 카메라를 다시 시작하세요.",
    ),
    "camera.gop_long": Words(
        YELLOW,
        "Camera {camera} sends a key frame less than every 4 s ({streams} stream).",
        "카메라 {camera}: 키 프레임 간격이 4초를 넘습니다 ({streams} 스트림).",
        "Set the key frame interval (GOP) to 1 to 2 s; until then clips begin late.",
        "키 프레임 간격(GOP)을 1~2초로 설정하세요. 그 전까지 클립 시작이 늦어집니다.",
    ),
    "camera.smart_codec": Words(
        YELLOW,
        "Camera {camera} uses a smart codec that leaves frames out ({streams} stream).",
        "카메라 {camera}: 프레임을 생략하는 스마트 코덱을 사용합니다 ({streams} 스트림).",
        "Switch H.264+, H.265+, Zipstream or the like off in the camera.",
        "카메라에서 H.264+, H.265+, Zipstream 등의 기능을 끄세요.",
    ),
    "camera.sends_audio": Words(
        YELLOW,
        "Camera {camera} sends sound, which is not recorded here ({streams} stream).",
        "카메라 {camera}: 음성을 전송합니다. 이 장치에서는 녹음하지 않습니다 ({streams} 스트림).",
        "Switch the microphone off in the camera, unless the center has allowed it.",
        "센터가 허용하지 않았다면 카메라에서 마이크를 끄세요.",
    ),
    "camera.other_codec": Words(
        YELLOW,
        "Camera {camera} sends neither H.264 nor H.265 ({streams} stream).",
        "카메라 {camera}: H.264나 H.265가 아닌 영상을 보냅니다 ({streams} 스트림).",
        "Set the stream to H.264 or H.265 in the camera; others can't be recorded.",
        "카메라에서 스트림을 H.264 또는 H.265로 설정하세요. 다른 형식은 녹화할 수 없습니다.",
    ),
}
