"""Faults of the disk and of what is kept there, in English and Korean."""

from agent.health.catalogue.words import RED, YELLOW, Words

STORAGE: dict[str, Words] = {
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
    "storage.sub_not_recorded": Words(
        YELLOW,
        "Camera {camera}: its sub stream is not recorded, so old video is not thinned to it.",
        "카메라 {camera}: 보조 스트림이 녹화되지 않아 오래된 영상을 줄일 수 없습니다.",
        "Check that the camera has a second stream and give its address, or unset `record_sub`.",
        "카메라에 보조 스트림이 있는지 확인해 주소를 넣거나, `record_sub` 설정을 해제하세요.",
    ),
    "storage.write_budget": Words(
        YELLOW,
        "Camera {camera} writes more a day than the disk is meant to bear.",
        "카메라 {camera}: 하루 쓰기량이 디스크 허용량을 넘었습니다.",
        "Lower its bit rate, or record events only (`buffer.mode`, `buffer.over_budget`).",
        "카메라 비트레이트를 낮추거나 이벤트만 녹화하세요(`buffer.mode`, `buffer.over_budget`).",
    ),
    "storage.spared": Words(
        YELLOW,
        "Camera {camera} records events only until midnight (UTC): today's writing is used up.",
        "카메라 {camera}: 오늘 쓰기 허용량을 다 써서 자정(UTC)까지 이벤트만 녹화합니다.",
        "Lower the camera's bit rate, or raise `buffer.write_budget_bytes_per_day`.",
        "카메라 비트레이트를 낮추거나 `buffer.write_budget_bytes_per_day`를 높이세요.",
    ),
    "storage.index_repaired": Words(
        YELLOW,
        "Camera {camera}: list and files of its recordings differed and were put right.",
        "카메라 {camera}: 녹화 목록과 파일이 서로 달라 바로잡았습니다.",
        "`poleside buffer check` tells what was found; if it comes again, replace the disk.",
        "`poleside buffer check`로 내용을 확인하고, 반복되면 디스크를 교체하세요.",
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
    "disk.inodes": Words(
        RED,
        "The disk takes hardly any further file: {free} more, however much room it has.",
        "디스크에 새 파일을 거의 만들 수 없습니다. 남은 파일 수 {free}개(용량과 무관).",
        "Something fills it with small files; remove them. The box deletes old video by itself.",
        "작은 파일이 너무 많습니다. 지우세요. 오래된 영상은 장치가 스스로 지웁니다.",
    ),
    "disk.stuck": Words(
        RED,
        "The disk does not answer: nothing new can be kept until it does.",
        "디스크가 응답하지 않습니다. 응답할 때까지 새 데이터를 저장할 수 없습니다.",
        "It goes on by itself once the disk answers; check its cable and power, then restart.",
        "디스크가 응답하면 저절로 이어집니다. 케이블과 전원을 확인한 뒤 다시 시작하세요.",
    ),
    "disk.read_only": Words(
        RED,
        "The disk refuses to be written.",
        "디스크에 쓸 수 없습니다(읽기 전용).",
        "An error made it read-only; box and bell work on without it. Check or replace the disk.",
        "오류로 읽기 전용이 되었습니다. 장치와 비상벨은 계속 동작합니다. 디스크를 점검·교체하세요.",
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
}
