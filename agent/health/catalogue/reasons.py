"""Why something is so, for the brackets of a fault's sentence: in English and in Korean.

A reason comes as a code of the box or as a text of whoever knows it (a library, the kernel, the
image); the texts of our own are known here by their shape. What nobody knows stays as it came, and
a Korean sentence marks it as such.
"""

import re
from typing import Final, NamedTuple


class Reason(NamedTuple):
    """The same in both languages."""

    en: str
    ko: str


CODES: Final[dict[str, Reason]] = {
    "camera.bad_response": Reason("answers what can't be understood", "알 수 없는 응답"),
    "camera.codec": Reason("a codec that can't be recorded", "녹화할 수 없는 코덱"),
    "camera.codec_changed": Reason("the codec changed", "코덱이 바뀜"),
    "camera.frozen": Reason("its time stands still", "영상의 시각이 멈춤"),
    "camera.garbled": Reason("unreadable pictures", "해석할 수 없는 영상"),
    "camera.lost": Reason("the connection broke", "연결이 끊김"),
    "camera.no_key_frame": Reason("no key frame comes", "키 프레임이 오지 않음"),
    "camera.no_picture": Reason("it gives no picture", "화면을 주지 않음"),
    "camera.no_such_stream": Reason("no such stream", "없는 스트림"),
    "camera.no_video": Reason("no video in the stream", "스트림에 영상이 없음"),
    "camera.not_a_camera": Reason("no camera answers there", "카메라가 아닌 장치가 응답함"),
    "camera.not_supported": Reason("the camera can't do it", "카메라가 지원하지 않음"),
    "camera.refused": Reason("the connection is refused", "연결을 거부함"),
    "camera.stalled": Reason("no picture for seconds", "몇 초째 영상이 없음"),
    "camera.stranger": Reason("another device answers there", "다른 장치가 응답함"),
    "camera.timeout": Reason("no answer in time", "응답 시간 초과"),
    "camera.tls": Reason("its certificate is not trusted", "인증서를 신뢰할 수 없음"),
    "camera.unreachable": Reason("nobody answers there", "응답 없음"),
    "camera.unsettled": Reason("it refuses a login it has taken before", "쓰던 로그인을 거부함"),
    "camera.worker_silent": Reason("its process does not answer", "담당 프로세스가 응답하지 않음"),
    "camera.wrong_password": Reason("the login is refused", "로그인을 거부함"),
    "link.bad_url": Reason("the address can't be used", "쓸 수 없는 주소"),
    "link.certificate_refused": Reason("the box's certificate is refused", "장치 인증서를 거부함"),
    "link.cloned": Reason("another box has this id", "같은 이름의 다른 장치가 있음"),
    "link.down": Reason("there is no connection", "연결 없음"),
    "link.lost": Reason("the connection broke", "연결이 끊김"),
    "link.not_allowed": Reason("it may not listen there", "브로커가 구독을 허용하지 않음"),
    "link.refused": Reason("the broker refuses", "브로커가 거부함"),
    "link.refused_credentials": Reason("the login is refused", "로그인을 거부함"),
    "link.tls": Reason("the certificate is not trusted", "인증서를 신뢰할 수 없음"),
    "link.unknown": Reason("nobody knows why", "원인을 알 수 없음"),
    "link.unreachable": Reason("nobody answers there", "응답 없음"),
    "output.lost": Reason("its line does not answer", "출력 선이 응답하지 않음"),
    "output.resting": Reason("it was on for as long as it may", "켤 수 있는 시간을 다 씀"),
    "output.unknown": Reason("there is no such output", "그런 출력이 없음"),
    "storage.closed": Reason("the database is closed", "데이터베이스가 닫힘"),
    "storage.database": Reason("the database has an error", "데이터베이스 오류"),
    "storage.error": Reason("the disk has an error", "디스크 오류"),
    "storage.full": Reason("the disk is full", "디스크가 가득 참"),
    "storage.in_use": Reason("another process holds it", "다른 프로세스가 쓰는 중"),
    "storage.no_database": Reason("there is no database", "데이터베이스가 없음"),
    "storage.no_frames": Reason("nothing is stored of what comes", "받은 영상이 저장되지 않음"),
    "storage.not_writable": Reason("nothing can be written", "쓸 수 없음"),
    "storage.stuck": Reason("the disk does not answer", "디스크가 응답하지 않음"),
    "storage.wrong_medium": Reason("not the disk that was meant", "정해진 디스크가 아님"),
    "update.address": Reason("its address can't be used", "쓸 수 없는 주소"),
    "update.damaged": Reason("not what was ordered came", "주문한 파일과 다름"),
    "update.disk": Reason("the disk can't take it", "디스크에 쓸 수 없음"),
    "update.failed": Reason("the installation failed", "설치 실패"),
    "update.held": Reason("an incident or a recording holds it", "사건이나 녹화 때문에 보류됨"),
    "update.held_back": Reason("no more may go over the line now", "통신량 제한"),
    "update.hot": Reason("the box is too hot", "장치가 너무 뜨거움"),
    "update.index": Reason("the list of its blocks can't be used", "블록 목록을 쓸 수 없음"),
    "update.no_answer": Reason("the image does not answer", "이미지가 응답하지 않음"),
    "update.no_ranges": Reason("the store gives no parts of files", "저장소가 부분 전송을 못 함"),
    "update.no_room": Reason("the disk has no room", "디스크에 자리가 없음"),
    "update.no_trials": Reason("no way back from it on this board", "되돌릴 방법이 없는 보드"),
    "update.not_trusted": Reason("its signature is not accepted", "서명이 올바르지 않음"),
    "update.on_trial": Reason("this system is on trial itself", "현재 시스템도 시험 중"),
    "update.plan": Reason("the plan can't be used", "설치 계획을 쓸 수 없음"),
    "update.refused_by_store": Reason("the store does not give it", "저장소가 거부함"),
    "update.rolled_back": Reason("it was not well", "정상 동작하지 않음"),
    "update.stopped": Reason("the fetch was stopped", "내려받기가 중단됨"),
    "update.storage": Reason("the disk can't be read", "디스크를 읽을 수 없음"),
    "update.tls": Reason("the store is not trusted", "저장소를 신뢰할 수 없음"),
    "update.too_late": Reason("it came too late", "기한이 지남"),
    "update.under_voltage": Reason("the supply is weak", "전원 전압이 낮음"),
    "update.unreachable": Reason("the store does not answer", "저장소가 응답하지 않음"),
    "update.unsupported": Reason("this is not our image", "Poleside 이미지가 아님"),
    "update.version": Reason("this version may not be installed", "설치할 수 없는 버전"),
}  # fmt: skip

HEAT: Final[dict[str, Reason]] = {
    "warm": Reason("warm", "주의"),
    "hot": Reason("hot", "높음"),
    "very-hot": Reason("very hot", "매우 높음"),
    "critical": Reason("critically hot", "위험"),
}

# Our own texts, by their shape; {0} … are what the shape caught, as it is.
_TEXTS: Final[tuple[tuple[str, str], ...]] = (
    # agent.app.process, agent.app.last_resort
    (r"killed by (?:signal )?(\w+)", "{0} 신호로 종료됨"),
    (r"exit code (-?\d+)", "종료 코드 {0}"),
    (r"could not start: (.+)", "시작하지 못함, {0}"),
    (r"needed processes made no progress for (\d+) s", "필수 구성 요소가 {0}초 동안 진행하지 못함"),
    # agent.detect
    (r"Every engine for (.+) has failed: .+", "{0}: 모든 엔진이 멈추거나 실패함"),
    (r"No (TensorFlow Lite engine|ONNX Runtime) is installed\.", "{0}: 설치되어 있지 않음"),
    (r"HailoRT's Python package is not installed\.", "HailoRT: 설치되어 있지 않음"),
    (r"The model fails its self-test: .+", "모델이 자체 시험을 통과하지 못함"),
    (r"The model (.+) has no file for (.+)\.", "모델 {0}: {1}용 파일이 없음"),
    (r"The model file (.+) can't be read: .+", "모델 파일을 읽을 수 없음: {0}"),
    (r"The model file (.+) is not the one its manifest .+", "모델 파일이 매니페스트와 다름: {0}"),
    (r"The model folder (.+) has no usable .+", "모델 폴더에 쓸 수 있는 매니페스트가 없음: {0}"),
    (r"(.+) can't load (\S+): .+", "{0}: {1} 파일을 불러올 수 없음"),
    # hardware.lines
    (r"This board has no line `(.+)`: .+", "이 보드에 `{0}` 선이 없음"),
    (r"Line `(.+)` does not answer\.", "`{0}` 선이 응답하지 않음"),
    (r"Line `(.+)` is in use by `(.+)`\.", "`{0}` 선을 `{1}`에서 쓰는 중"),
    (r"Line `(.+)` is not there; .+", "`{0}` 선이 없음"),
    (r"Line `(.+)` is there more than once: .+", "`{0}` 선이 여럿임, 칩과 번호를 적을 것"),
    (r"Line `(.+)` no longer answers: .+", "`{0}` 선이 더 이상 응답하지 않음"),
    (r"Line `(.+)` can't be (?:had|written): .+", "`{0}` 선을 쓸 수 없음"),
    # agent.settings
    (r"Object contains unknown field `(.+)`(?: - at .+)?", "알 수 없는 항목 `{0}`"),
    (r"Object missing required field `(.+)`(?: - at .+)?", "`{0}` 항목이 없음"),
    (r"Expected `(.+)`, got `(.+)`(?: - at .+)?", "`{0}` 값이어야 하는데 `{1}` 값임"),
    (r"Expected `(\w+)` (matching .+|[<>]=? .+?)(?: - at .+)?", "`{0}` 범위를 벗어남 ({1})"),
    (r"Invalid (?:enum )?value (.+?)(?: - at .+)?", "허용되지 않는 값 {0}"),
    (r"`(.+)` can't be changed by the center\.", "`{0}`: 센터에서 바꿀 수 없음"),
    (r"The address at `(.+)` is not one that can be used here\.", "쓸 수 없는 주소 `{0}`"),
    (r"Sound can't be switched on here, at `(.+)`\.", "여기서는 소리를 켤 수 없음 `{0}`"),
    (r"(\S+) can't be read; it is kept as (\S+)\.", "{0} 파일을 읽을 수 없어 {1} 이름으로 남겨 둠"),
    (r"camera `(.+)` needs `main_url` or `onvif_url`(?: - at .+)?",
     "카메라 `{0}`: `main_url` 또는 `onvif_url` 필요"),
    (r"two cameras have one `camera_id`(?: - at .+)?", "`camera_id` 값이 같은 카메라가 둘임"),
    (r".+ names a camera `(.+)` there is not(?: - at .+)?", "없는 카메라 `{0}`"),
    (r"the zone (?:crosses itself|encloses nothing): .+", "구역의 모양이 올바르지 않음"),
    (r".*unknown class `(.+?)`.*", "알 수 없는 분류 `{0}`"),
    (r"`(.+)` is no time zone known here; .+", "알 수 없는 시간대 `{0}`"),
    (r"`(.+)` (?:is no window|is empty|is no time|names no days).*", "잘못된 시간 `{0}`"),
    # image-build: provision, trial
    (r"the settings on the stick are not taken: larger than 1 MiB", "설정 파일이 1 MiB보다 큼"),
    (r"the settings on the stick are not taken: (.+)", "설정 파일이 올바르지 않음, {0}"),
    (r"the stick can't be read: (.+)", "USB 메모리를 읽을 수 없음, {0}"),
    (r"the agent does not answer", "프로그램이 응답하지 않음"),
    (r"the firewall is not up: .+", "방화벽이 동작하지 않음"),
    (r"new faults: (.+)", "새 장애: {0}"),
    (r"no longer: (.+)", "더 이상 동작하지 않음: {0}"),
    (r"not steady for (\d+) s: it restarts", "{0}초 동안 안정되지 않고 다시 시작함"),
    (r"The new system did not come up\.", "새 시스템이 시작되지 않음"),
)  # fmt: skip
_SHAPES: Final = tuple((re.compile(shape, re.DOTALL), ko) for shape, ko in _TEXTS)


def reason_of(text: str, code: str = "") -> Reason:
    """Return a reason, a code or a text, in both languages; `code` helps with an unknown text."""
    if known := CODES.get(text):
        return Reason(f"{known.en} [{text}]", f"{known.ko} [{text}]")
    for shape, ko in _SHAPES:
        if found := shape.fullmatch(text):
            return Reason(text, ko.format(*found.groups()))
    if is_code(text) or text == "?":
        return Reason(text, text)
    error = re.match(r"\[([a-z0-9._-]+)\] ", text)  # as a `PolesideError` writes itself
    if error and (known := CODES.get(error[1])):
        return Reason(text, f"{known.ko} [{error[1]}]")
    raw = f"원문: {text}"
    if known := CODES.get(code):
        return Reason(text, f"{known.ko} [{code}], {raw}")
    return Reason(text, raw)


def is_code(text: str) -> bool:
    """Return whether a reason is a code of the box, which is of no language."""
    return re.fullmatch(r"[a-z]+(?:[._-][a-z0-9_]+)*", text) is not None
