"""Faults of updates of the image, in English and Korean."""

from agent.health.catalogue.words import YELLOW, Words

UPDATES: dict[str, Words] = {
    "update.rolled_back": Words(
        YELLOW,
        "The update to {version} did not hold; the box runs the version before ({why}).",
        "{version} 업데이트가 실패해 이전 버전으로 되돌아갔습니다 ({why}).",
        "Nothing is lost. Send a diagnostic bundle; `poleside update cancel` takes this away.",
        "잃은 것은 없습니다. 진단 파일을 보내 주세요. `poleside update cancel`로 지울 수 있습니다.",
    ),
    "update.refused": Words(
        YELLOW,
        "The box refused the update to {version} ({why}).",
        "장치가 {version} 업데이트를 거부했습니다 ({why}).",
        "Check who signed the bundle, for which board, and its version.",
        "업데이트 파일의 서명, 대상 보드, 버전을 확인하세요.",
    ),
    "update.failed": Words(
        YELLOW,
        "The update to {version} could not be fetched ({why}).",
        "{version} 업데이트를 내려받지 못했습니다 ({why}).",
        "Order it again from the center with a fresh address, or bring it on a stick.",
        "센터에서 새 주소로 다시 지시하거나 USB 메모리로 가져오세요.",
    ),
}
