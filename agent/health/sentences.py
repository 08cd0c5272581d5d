"""Every fault the box can name: how bad it is, and its words in English and Korean.

A sentence says what is wrong as a technician would; a hint says what to do next, with hands. Words
in braces are filled in by `agent.health.checks`. Korean particles never follow a brace.
"""

from dataclasses import dataclass

from agent.health.fault import Severity

RED, YELLOW = Severity.RED, Severity.YELLOW


@dataclass(frozen=True, slots=True)
class Words:
    """One entry of the catalogue."""

    severity: Severity
    en: str
    ko: str
    hint_en: str
    hint_ko: str


CATALOGUE: dict[str, Words] = {
    "camera.unreachable": Words(
        RED,
        "Camera {camera} does not answer.",
        "카메라 {camera}: 응답이 없습니다.",
        "Check its power, the cable and the switch port, then the address in the settings.",
        "카메라 전원, 케이블, 스위치 포트를 확인한 뒤 설정의 주소를 확인하세요.",
    ),
    "camera.wrong_password": Words(
        RED,
        "Camera {camera} refuses the user name or password.",
        "카메라 {camera}: 사용자 이름 또는 비밀번호를 거부합니다.",
        "Set the camera's own account in the settings; too many tries may lock it for minutes.",
        "설정에 카메라 계정을 다시 입력하세요. 여러 번 틀리면 카메라가 몇 분간 잠길 수 있습니다.",
    ),
    "camera.not_onvif": Words(
        YELLOW,
        "Camera {camera} does not speak ONVIF at the given address.",
        "카메라 {camera}: 지정한 주소에서 ONVIF 응답이 없습니다.",
        "Switch ONVIF on in the camera's own page, or give `main_url` by hand.",
        "카메라 웹 페이지에서 ONVIF를 켜거나 `main_url`을 직접 입력하세요.",
    ),
    "camera.not_a_camera": Words(
        RED,
        "What answers for camera {camera} is not a camera.",
        "카메라 {camera}: 응답하는 장비가 카메라가 아닙니다.",
        "Check address and port: another device may have taken this address.",
        "주소와 포트를 확인하세요. 다른 장비가 같은 주소를 쓰고 있을 수 있습니다.",
    ),
    "camera.no_such_stream": Words(
        RED,
        "Camera {camera} has no stream at the given path.",
        "카메라 {camera}: 지정한 경로에 영상 스트림이 없습니다.",
        "Check the path of `main_url`, or give `onvif_url` and let the camera tell its own.",
        "`main_url` 경로를 확인하거나 `onvif_url`을 입력해 카메라가 알려 주는 경로를 쓰세요.",
    ),
    "camera.codec": Words(
        RED,
        "Camera {camera} sends a video format that can't be recorded.",
        "카메라 {camera}: 녹화할 수 없는 영상 형식입니다.",
        "Set the camera's encoder to H.264 or H.265.",
        "카메라 인코더를 H.264 또는 H.265로 설정하세요.",
    ),
    "camera.tls": Words(
        RED,
        "Camera {camera} does not prove who it is: its certificate is not trusted.",
        "카메라 {camera}: 인증서를 신뢰할 수 없습니다.",
        "Set `tls_ca_file` to the authority that signed it and `tls_host` to the name in it.",
        "`tls_ca_file`에 인증 기관 파일을, `tls_host`에 인증서의 이름을 설정하세요.",
    ),
    "camera.frozen": Words(
        RED,
        "Camera {camera} is connected, but its picture stands still.",
        "카메라 {camera}: 연결되어 있으나 화면이 멈춰 있습니다.",
        "Restart the camera. If it comes back, check its power supply and firmware.",
        "카메라를 다시 시작하세요. 반복되면 전원 어댑터와 펌웨어를 확인하세요.",
    ),
    "camera.lost": Words(
        RED,
        "Camera {camera} sends no video ({reason}).",
        "카메라 {camera}: 영상이 오지 않습니다 ({reason}).",
        "Check the camera's power and cable; the box tries again by itself.",
        "카메라 전원과 케이블을 확인하세요. 장치는 계속 다시 연결합니다.",
    ),
    "camera.sub_lost": Words(
        YELLOW,
        "Camera {camera} is recorded, but its small picture is missing: nobody looks at it.",
        "카메라 {camera}: 녹화는 되지만 보조 영상이 없어 분석하지 못합니다.",
        "Switch the sub stream on in the camera, or correct `sub_url`.",
        "카메라에서 보조(서브) 스트림을 켜거나 `sub_url`을 고치세요.",
    ),
    "camera.not_recorded": Words(
        RED,
        "Camera {camera} is seen, but not recorded ({reason}).",
        "카메라 {camera}: 영상은 오지만 녹화되지 않습니다 ({reason}).",
        "Look at the disk: space, read-only, cable. `poleside doctor` checks it.",
        "디스크 공간, 읽기 전용 상태, 케이블을 확인하세요. `poleside doctor`로 점검할 수 있습니다.",
    ),
    "picture.covered": Words(
        RED,
        "Camera {camera} is covered: nothing of its scene can be seen.",
        "카메라 {camera}: 렌즈가 가려져 화면이 보이지 않습니다.",
        "Look at the live picture, then go and free the lens; look for paint, tape or a bag.",
        "실시간 화면을 확인한 뒤 현장에서 렌즈를 가린 것(테이프, 페인트, 비닐 등)을 치우세요.",
    ),
    "picture.defocused": Words(
        RED,
        "Camera {camera} is out of focus.",
        "카메라 {camera}: 초점이 맞지 않습니다.",
        "Focus the lens anew; if it blurs again, look for moisture inside or a loose lens.",
        "렌즈 초점을 다시 맞추세요. 반복되면 내부 습기나 렌즈 풀림을 확인하세요.",
    ),
    "picture.moved": Words(
        RED,
        "Camera {camera} no longer shows its usual view.",
        "카메라 {camera}: 평소와 다른 곳을 비추고 있습니다.",
        "Turn it back and fix its mount. A view that stays is taken for the usual one after a day.",
        "방향을 되돌리고 브래킷을 고정하세요. 하루 동안 그대로면 새 화면을 기준으로 삼습니다.",
    ),
    "picture.dark": Words(
        RED,
        "Camera {camera} is dark: too little light to see by.",
        "카메라 {camera}: 화면이 너무 어둡습니다.",
        "Check the lights of the place, the camera's infrared lamp and its exposure settings.",
        "주변 조명, 카메라 적외선 램프, 노출 설정을 확인하세요.",
    ),
    "picture.frozen": Words(
        RED,
        "Camera {camera} sends the very same picture again and again.",
        "카메라 {camera}: 똑같은 화면만 반복해서 보내고 있습니다.",
        "Restart the camera. If it comes back, update its firmware or replace it.",
        "카메라를 다시 시작하세요. 반복되면 펌웨어를 갱신하거나 교체하세요.",
    ),
    "picture.noise": Words(
        YELLOW,
        "Camera {camera} shows strong noise.",
        "카메라 {camera}: 화면에 잡음이 심합니다.",
        "Check its power supply and cables; at night, look whether more light is needed.",
        "전원 어댑터와 케이블을 확인하세요. 야간이면 조명이 부족한지 확인하세요.",
    ),
    "picture.tilted": Words(
        YELLOW,
        "Camera {camera} hangs askew.",
        "카메라 {camera}: 화면이 기울어져 있습니다.",
        "Straighten the camera and tighten its mount.",
        "카메라를 바로 세우고 브래킷 나사를 조이세요.",
    ),
    "picture.glare": Words(
        YELLOW,
        "Camera {camera} is blinded by light.",
        "카메라 {camera}: 강한 빛 때문에 화면이 하얗게 보입니다.",
        "If it is a lamp, turn it away; if the sun, fit a hood or switch wide dynamic range on.",
        "조명이면 방향을 돌리고, 햇빛이면 차양을 달거나 역광 보정(WDR)을 켜세요.",
    ),
    "picture.dirty": Words(
        YELLOW,
        "Part of the picture of camera {camera} has become dull: dirt or a web on the lens.",
        "카메라 {camera}: 화면 일부가 흐려졌습니다. 렌즈에 먼지나 거미줄이 있을 수 있습니다.",
        "Clean the lens and its cover.",
        "렌즈와 보호창을 닦으세요.",
    ),
    "storage.locks_full": Words(
        RED,
        "Camera {camera}: locked recordings fill their share of the disk; new locks are refused.",
        "카메라 {camera}: 잠긴 녹화가 할당 공간을 모두 차지해 새 잠금을 거부합니다.",
        "Export what is needed, then remove old locks with `poleside buffer locks remove`.",
        "필요한 영상을 내보낸 뒤 `poleside buffer locks remove`로 오래된 잠금을 푸세요.",
    ),
    "storage.second_disk": Words(
        YELLOW,
        "Camera {camera}: locked recordings can't be copied to the second disk.",
        "카메라 {camera}: 잠긴 녹화를 두 번째 디스크로 복사할 수 없습니다.",
        "Check that disk, its cable and `buffer.second_dir`; recording goes on without it.",
        "두 번째 디스크와 케이블, `buffer.second_dir`을 확인하세요. 녹화는 계속됩니다.",
    ),
    "storage.write_budget": Words(
        YELLOW,
        "Camera {camera} writes more a day than the disk is meant to bear.",
        "카메라 {camera}: 하루 쓰기량이 디스크 허용량을 넘었습니다.",
        "Lower the camera's bit rate, or record events only (`buffer.mode`).",
        "카메라 비트레이트를 낮추거나 이벤트만 녹화하세요(`buffer.mode`).",
    ),
    "storage.index_repaired": Words(
        YELLOW,
        "Camera {camera}: list and files of its recordings differed and were put right.",
        "카메라 {camera}: 녹화 목록과 파일이 서로 달라 바로잡았습니다.",
        "`poleside buffer check` tells what was found; if it comes again, replace the disk.",
        "`poleside buffer check`로 내용을 확인하고, 반복되면 디스크를 교체하세요.",
    ),
    "detector.unavailable": Words(
        YELLOW,
        "The detector is not available: {cameras} camera(s) see motion only.",
        "객체 감지기를 쓸 수 없습니다. 카메라 {cameras}대가 움직임만 감지합니다.",
        "It is restarted by itself. If this stays, run `poleside doctor`.",
        "자동으로 다시 시작합니다. 계속되면 `poleside doctor`를 실행하세요.",
    ),
    "link.down": Words(
        RED,
        "The center can't be reached ({reason}). Recording and events go on in the box.",
        "센터에 연결할 수 없습니다 ({reason}). 녹화와 이벤트는 장치 안에 계속 저장됩니다.",
        "Check the router and its antenna or cable, then the broker address in the settings.",
        "라우터와 안테나 또는 케이블을 확인한 뒤 설정의 브로커 주소를 확인하세요.",
    ),
    "link.refused_credentials": Words(
        RED,
        "The broker refuses this box's user name or password. Recording and events go on.",
        "브로커가 이 장치의 사용자 이름 또는 비밀번호를 거부합니다. 녹화와 이벤트는 계속됩니다.",
        "Correct `broker.username` and `broker.password`, or have the center enrol the box anew.",
        "`broker.username`과 `broker.password`를 고치거나 센터에 장치를 다시 등록해 달라고 하세요.",
    ),
    "link.tls": Words(
        RED,
        "The broker could not prove who it is (TLS). Recording and events go on in the box.",
        "브로커의 신원을 확인하지 못했습니다(TLS). 녹화와 이벤트는 장치 안에 계속 저장됩니다.",
        "Check `broker.ca_file` and the box's clock; do not go round it.",
        "`broker.ca_file`과 장치의 시각을 확인하세요. 검사를 끄지 마세요.",
    ),
    "link.cloned": Words(
        RED,
        "Another box is connected with this box's id; the broker cuts them off in turn.",
        "다른 장치가 이 장치의 ID로 연결되어 있어 브로커가 번갈아 연결을 끊습니다.",
        "Find the copy (a copied memory card?) and give one of the two an identity of its own.",
        "복제된 장치(복사한 메모리 카드)를 찾아 둘 중 하나에 새 ID를 부여하세요.",
    ),
    "link.not_acknowledged": Words(
        RED,
        "The center is online but has confirmed nothing for {minutes} minutes; all is kept here.",
        "센터는 온라인이지만 {minutes}분 동안 수신을 확인하지 않았습니다. 모두 장치에 보관됩니다.",
        "At the broker, let this box write its `up/#`; at the center, look at the ingest's log.",
        "브로커에서 이 장치의 `up/#` 쓰기 권한을, 센터에서 수집 서비스의 로그를 확인하세요.",
    ),
    "link.certificate_expires": Words(
        YELLOW,
        "This box's certificate ends in {days} day(s) and could not be renewed.",
        "이 장치의 인증서가 {days}일 후에 만료되며, 갱신하지 못했습니다.",
        "Check that the center's enrolment service can be reached and knows this box.",
        "센터의 등록 서비스에 연결되는지, 이 장치가 등록되어 있는지 확인하세요.",
    ),
    "disk.low": Words(
        YELLOW,
        "The disk is nearly full: {free} free, {wanted} wanted.",
        "디스크가 거의 찼습니다. 남은 공간 {free}, 필요한 공간 {wanted}.",
        "Something else may fill the disk; remove it, or lower `buffer.max_bytes`.",
        "다른 파일이 디스크를 채웠을 수 있습니다. 지우거나 `buffer.max_bytes`를 낮추세요.",
    ),
    "disk.full": Words(
        RED,
        "The disk is full: {free} free.",
        "디스크가 가득 찼습니다. 남은 공간 {free}.",
        "Remove what does not belong there; the box deletes old video by itself.",
        "녹화가 아닌 파일을 지우세요. 오래된 영상은 장치가 스스로 지웁니다.",
    ),
    "disk.read_only": Words(
        RED,
        "The disk refuses to be written.",
        "디스크에 쓸 수 없습니다(읽기 전용).",
        "It was most likely set read-only after an error: restart once, then replace the disk.",
        "오류 뒤에 읽기 전용이 되었을 수 있습니다. 한 번 다시 시작하고, 반복되면 교체하세요.",
    ),
    "disk.volatile": Words(
        YELLOW,
        "Recordings lie in memory and are lost when the power goes.",
        "녹화가 메모리에 저장되고 있어 전원이 꺼지면 사라집니다.",
        "The disk was not found at start: check it, or set `data_dir` to a folder on a disk.",
        "시작할 때 디스크를 찾지 못했습니다. 디스크를 확인하거나 `data_dir`을 바꾸세요.",
    ),
    "disk.worn": Words(
        YELLOW,
        "The disk has used {used} % of the life its maker gives it.",
        "디스크 수명의 {used} %를 사용했습니다.",
        "Plan its replacement.",
        "교체를 준비하세요.",
    ),
    "process.restarting": Words(
        YELLOW,
        "The part {process} has stopped and is being restarted ({reason}).",
        "구성 요소 {process}: 멈춰서 다시 시작하는 중입니다 ({reason}).",
        "Nothing to do now. If it comes again, send the logs.",
        "지금은 할 일이 없습니다. 반복되면 로그를 보내 주세요.",
    ),
    "process.quarantined": Words(
        RED,
        "The part {process} stopped {restarts} times and is tried only now and then ({reason}).",
        "구성 요소 {process}: {restarts}회 멈춰 가끔씩만 다시 시도합니다 ({reason}).",
        "If it is a camera, restart the camera; then restart the box and send the logs.",
        "카메라라면 카메라를 다시 시작하고, 이어서 장치를 다시 시작한 뒤 로그를 보내 주세요.",
    ),
    "board.hot": Words(
        YELLOW,
        "The box is hot: {celsius} °C at {sensor}.",
        "장치가 뜨겁습니다. {sensor} {celsius} °C.",
        "Look for dust, a standing fan, direct sun on the cabinet.",
        "먼지, 멈춘 팬, 함체에 닿는 직사광선을 확인하세요.",
    ),
    "board.too_hot": Words(
        RED,
        "The box is about to switch itself off: {celsius} °C at {sensor}.",
        "과열로 곧 꺼질 수 있습니다. {sensor} {celsius} °C.",
        "Open the cabinet to let it cool, and repair the fan.",
        "함체를 열어 식히고 팬을 고치세요.",
    ),
    "board.under_voltage": Words(
        RED,
        "The supply voltage is too low.",
        "전원 전압이 너무 낮습니다.",
        "Use the board's own power supply and a short, thick cable; unplug USB devices to test.",
        "정품 전원과 짧고 굵은 케이블을 쓰세요. USB 장치를 빼고 시험해 보세요.",
    ),
    "board.under_voltage_before": Words(
        YELLOW,
        "The supply voltage was too low at some time since the start.",
        "시작한 뒤 전원 전압이 낮았던 적이 있습니다.",
        "Check power supply and cable before it damages the disk.",
        "디스크가 손상되기 전에 전원 어댑터와 케이블을 확인하세요.",
    ),
    "board.throttled": Words(
        YELLOW,
        "The processor is held back, so fewer pictures are looked at.",
        "프로세서 속도가 제한되어 분석하는 화면 수가 줄었습니다.",
        "Cool the box and check its power supply.",
        "장치를 식히고 전원 어댑터를 확인하세요.",
    ),
    "clock.unproven": Words(
        YELLOW,
        "The time of the box is not proven: stamps may be wrong.",
        "장치의 시각이 확인되지 않았습니다. 기록 시각이 틀릴 수 있습니다.",
        "Check that the box reaches a time server (NTP); fit a clock battery where there is none.",
        "시간 서버(NTP)에 연결되는지 확인하고, 시계 배터리가 없으면 장착하세요.",
    ),
    "outbox.growing": Words(
        YELLOW,
        "{waiting} messages wait for the center; the oldest is {minutes} minutes old.",
        "센터로 보낼 메시지 {waiting}건이 대기 중이며 가장 오래된 것은 {minutes}분 전입니다.",
        "The link is up but slow, or the center does not confirm. Ask the center.",
        "연결은 되었으나 느리거나 센터가 확인을 보내지 않습니다. 센터에 문의하세요.",
    ),
    "outbox.nearly_full": Words(
        YELLOW,
        "The memory for unsent messages is {used} % full.",
        "보내지 못한 메시지 저장 공간이 {used} % 찼습니다.",
        "Bring the link back; after that, the least important messages are given up.",
        "연결을 복구하세요. 가득 차면 덜 중요한 메시지부터 버립니다.",
    ),
    "outbox.evicting": Words(
        RED,
        "{evicted} unsent messages were given up for want of room.",
        "저장 공간이 부족해 보내지 못한 메시지 {evicted}건을 버렸습니다.",
        "Bring the link back. The recordings of that time are still in the box.",
        "연결을 복구하세요. 그 시간의 녹화는 장치에 남아 있습니다.",
    ),
    "uploads.budget_spent": Words(
        YELLOW,
        "{waiting} files for the center wait: today's budget of bytes is used up.",
        "센터로 보낼 파일 {waiting}개가 대기 중입니다. 오늘의 전송량 한도를 모두 사용했습니다.",
        "They go on after midnight UTC. If they can't wait, raise `uploads.daily_bytes`.",
        "자정(UTC) 이후 다시 전송합니다. 급하면 `uploads.daily_bytes` 값을 올리세요.",
    ),
}
