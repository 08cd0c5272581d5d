"""Faults on the way to the center, in English and Korean."""

from agent.health.catalogue.words import RED, YELLOW, Words

CENTER: dict[str, Words] = {
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
    "link.data_sparing": Words(
        YELLOW,
        "{used} % of this month's data is used: thumbnails of events and files are held back.",
        "이번 달 데이터를 {used} % 사용했습니다. 이벤트 섬네일과 파일 전송을 보류합니다.",
        "Alarms go as ever. Raise `data.monthly_bytes` if the tariff has room.",
        "경보는 그대로 전송됩니다. 요금제에 여유가 있으면 `data.monthly_bytes`를 늘리세요.",
    ),
    "link.data_spent": Words(
        RED,
        "This month's data is used up ({used} %): alarms go without thumbnails, files wait.",
        "이번 달 데이터를 다 썼습니다({used} %). 경보는 섬네일 없이 전송되고 파일은 대기합니다.",
        "Raise `data.monthly_bytes`, or find out what used so much on the page of the link.",
        "`data.monthly_bytes`를 늘리거나 링크 화면에서 무엇이 많이 썼는지 확인하세요.",
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
