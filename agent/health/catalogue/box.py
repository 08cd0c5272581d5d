"""Faults of the box itself: board, processes, clock, detector, in English and Korean."""

from agent.health.catalogue.words import RED, YELLOW, Words

BOX: dict[str, Words] = {
    "detector.unavailable": Words(
        YELLOW,
        "The detector is not available: {cameras} camera(s) see motion only.",
        "객체 감지기를 쓸 수 없습니다. 카메라 {cameras}대가 움직임만 감지합니다.",
        "It is restarted by itself. If this stays, run `poleside doctor`.",
        "자동으로 다시 시작합니다. 계속되면 `poleside doctor`를 실행하세요.",
    ),
    "detector.stepped_down": Words(
        YELLOW,
        "The detector runs on {engine}: {better} hung, crashed or failed again and again.",
        "객체 감지기가 {engine}(으)로 동작합니다. {better}이(가) 거듭 멈추거나 실패했습니다.",
        "The better engine is tried again after six hours. Check the chip's cable and heat.",
        "더 나은 엔진은 6시간 뒤 다시 시도합니다. 칩의 케이블과 온도를 확인하세요.",
    ),
    "detector.motion_only": Words(
        RED,
        "No detector engine works: all cameras see motion only ({reason}).",
        "동작하는 감지 엔진이 없습니다. 모든 카메라가 움직임만 감지합니다 ({reason}).",
        "It is tried again every half hour. Run `poleside box accelerators`, then restart the box.",
        "30분마다 다시 시도합니다. `poleside box accelerators`로 확인하고 장치를 다시 시작하세요.",
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
    "process.hanging": Words(
        RED,
        "The part {process} hangs and can't be ended: it waits for the disk or for a driver.",
        "구성 요소 {process}: 디스크나 드라이버를 기다리며 멈춰 종료할 수 없습니다.",
        "It goes on once that answers; check the disk's cable and power, then restart the box.",
        "응답하면 저절로 이어집니다. 디스크의 케이블과 전원을 확인한 뒤 장치를 다시 시작하세요.",
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
    "clock.not_the_centers": Words(
        YELLOW,
        "The box's clock is {seconds} s {side} the center's.",
        "장치의 시계가 센터보다 {seconds}초 {side_ko}.",
        "Give both the same time server (NTP); until then times of both can't be compared.",
        "둘 다 같은 시간 서버(NTP)를 쓰게 하세요. 그때까지 양쪽 시각을 비교할 수 없습니다.",
    ),
    "clock.unproven": Words(
        YELLOW,
        "The time of the box is not proven: stamps may be wrong.",
        "장치의 시각이 확인되지 않았습니다. 기록 시각이 틀릴 수 있습니다.",
        "Check that the box reaches a time server (NTP); fit a clock battery where there is none.",
        "시간 서버(NTP)에 연결되는지 확인하고, 시계 배터리가 없으면 장착하세요.",
    ),
}
