"""Faults of incident sessions, in English and Korean."""

from agent.health.catalogue.words import RED, Words

INCIDENTS: dict[str, Words] = {
    "incident.position_lost": Words(
        RED,
        "Incident {incident}: no position for {seconds} s.",
        "사건 {incident}: {seconds}초 동안 위치가 수신되지 않았습니다.",
        "The cameras go on looking at the last place. Call the person, or send a patrol there.",
        "카메라는 마지막 위치를 계속 비춥니다. 대상자에게 연락하거나 순찰차를 보내세요.",
    ),
}
