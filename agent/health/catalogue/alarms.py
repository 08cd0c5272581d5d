"""What is wrong with the alarms themselves: too many, too many false ones."""

from agent.health.catalogue.words import YELLOW, Words

ALARMS: dict[str, Words] = {
    "alarms.over_budget": Words(
        YELLOW,
        "Camera {camera} raised {count} alarms in a day that people called false.",
        "카메라 {camera}: 하루 동안 오경보로 판정된 알람이 {count}건입니다.",
        "Look at its rules: draw the zone smaller, lengthen the dwell time, or set a schedule.",
        "규칙을 확인하세요. 구역을 줄이거나 체류 시간을 늘리거나 시간표를 설정하세요.",
    ),
    "alarms.limited": Words(
        YELLOW,
        "Camera {camera} raises so many alike alarms that further ones are kept together in one.",
        "카메라 {camera}: 같은 알람이 너무 많아 추가 알람을 하나로 묶고 있습니다.",
        "Look at the live picture: something there keeps setting it off.",
        "실시간 화면에서 무엇이 계속 알람을 일으키는지 확인하세요.",
    ),
    "alarms.weather": Words(
        YELLOW,
        "Many alike alarms at once, as in rain or snow: only one in four of them is raised alone.",
        "비나 눈처럼 같은 알람이 한꺼번에 많아, 넷 중 하나만 따로 올리고 나머지는 묶습니다.",
        "It ends by itself. Emergencies are raised as ever.",
        "자동으로 끝납니다. 긴급 알람은 그대로 올립니다.",
    ),
}
