"""Faults of what the box does to help itself, and of what no longer answers it."""

from agent.health.catalogue.words import RED, YELLOW, Words

CARE: dict[str, Words] = {
    "camera.power_cycled": Words(
        YELLOW,
        "Camera {camera} recorded nothing and was switched off and on, {times} time(s) in a day.",
        "카메라 {camera}: 녹화가 되지 않아 하루 사이 전원을 {times}회 껐다 켰습니다.",
        "Nothing to do if it stays at this. If it comes again, replace the camera or its supply.",
        "다시 생기지 않으면 할 일이 없습니다. 반복되면 카메라나 전원 장치를 교체하세요.",
    ),
    "camera.power_cycles_spent": Words(
        RED,
        "Camera {camera} records nothing although it was switched off and on {times} times.",
        "카메라 {camera}: 전원을 {times}회 껐다 켰지만 녹화되지 않습니다.",
        "It is left alone for today. Check its cable and supply on the pole; replace the camera.",
        "오늘은 더 시도하지 않습니다. 기둥의 케이블과 전원을 확인하고 카메라를 교체하세요.",
    ),
    "board.rebooted": Words(
        RED,
        "The box rebooted itself as a last resort: {reason}.",
        "최후의 수단으로 장치가 스스로 다시 부팅했습니다. 원인: {reason}.",
        "It runs again. Send the logs of before the reboot; if it comes again, replace the box.",
        "다시 작동 중입니다. 재부팅 전의 로그를 보내고, 반복되면 장치를 교체하세요.",
    ),
    "board.part_silent": Words(
        YELLOW,
        "A part of the board does not answer: {part}. What it told is unknown now.",
        "보드의 일부가 응답하지 않습니다: {part}. 그 상태를 알 수 없습니다.",
        "Nothing else is held up by it. Restart the box; if it comes again, check the board.",
        "다른 기능에는 영향이 없습니다. 장치를 다시 시작하고, 반복되면 보드를 점검하세요.",
    ),
    "board.sensor_lost": Words(
        YELLOW,
        "The temperature sensor {sensor} has fallen silent or tells nonsense.",
        "온도 센서 {sensor}: 값이 없거나 믿을 수 없습니다.",
        "Heat is judged by what is left. Restart the box; if it comes again, check the board.",
        "남은 센서로 판단합니다. 장치를 다시 시작하고, 반복되면 보드를 점검하세요.",
    ),
    "board.part_lost": Words(
        YELLOW,
        "The board has ceased to tell, or tells nonsense of: {part}. How that is, nobody knows.",
        "보드가 더는 알려 주지 않거나 믿을 수 없는 값을 보냅니다: {part}. 상태를 알 수 없습니다.",
        "Check that part and its cable. Restart the box; if it comes again, replace the part.",
        "해당 부품과 케이블을 확인하세요. 장치를 다시 시작하고, 반복되면 부품을 교체하세요.",
    ),
    "camera.power_output_lost": Words(
        YELLOW,
        "The output that should switch camera {camera} off and on can't be switched ({reason}).",
        "카메라 {camera}: 전원을 껐다 켜야 하지만 출력을 제어할 수 없습니다 ({reason}).",
        "Check the output's line: `poleside box lines`.",
        "출력의 회선을 확인하세요: `poleside box lines`.",
    ),
}
