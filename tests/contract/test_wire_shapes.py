"""What an old box or center once sent must be understood for ever: the bytes here never change."""

import hashlib

import msgspec
import pytest

from agent.contract import records
from agent.contract.acks import Ack, Acks
from agent.contract.audit import CHAIN_START, AuditEntry
from agent.contract.commands import OPERATIONS, Args, Command, Reply, ReplyState, op_of
from agent.contract.config import Desired, settings_hash
from agent.contract.events import Event, Gap, Phase, StreamName, TimeQuality
from agent.contract.evidence import BoxHourRecord, HeadPlace
from agent.contract.info import Info
from agent.contract.presence import CenterState, State
from agent.contract.ptz_args import PtzMove
from agent.contract.rollup import CameraHour, HealthRecord, Spread
from agent.contract.telemetry import CameraState, Telemetry
from agent.contract.topics import (
    CHANNEL_OF,
    MAX_BYTES,
    BoxAddress,
    Channel,
    center_state_topic,
    parse,
    up_filter,
)
from agent.uplink import coding

EVENT = (
    b'{"specversion":"1.0","id":"01JD8Z3V7K5M2Q9W4R6T8Y0B1C","source":"edge/tb-001/bx-0417",'
    b'"type":"edge.event.intrusion.v1","subject":"cam-3","time":"2026-11-21T14:03:22.417Z",'
    b'"seq":481516,"stream":"a","epoch":"7c1e","boot":42,"mono":812345.2,"tq":"ntp","phase":"new",'
    b'"data":{"kind":"intrusion","started_at":"2026-11-21T14:03:21Z","from_the_future":1},'
    b'"historical":false,"also_new":{}}'
)
COMMAND = (
    b'{"id":"01JD8Z3V7K5M2Q9W4R6T8Y0B1C","args":{"op":"ptz.move","camera_id":"gate","pan":0.5},'
    b'"box":"bx-0417","by":{"user":"kim","role":"operator","agency":"city","case":"c-1"},'
    b'"iat":1795269600,"nbf":1795269600,"exp":1795269630,"iss":"tb-001","prio":5}'
)
TELEMETRY = (
    b'{"t":"2026-11-21T14:03:22Z","mono":1.5,"tq":"rtc","state":{"online":true,"boot":42,'
    b'"conn":17},"cameras":[{"camera_id":"gate","state":"online","main_fps":20.0}],'
    b'"outbox":{"waiting":3,"waiting_bytes":900,"queued_total":10,"acked_total":7,'
    b'"evicted_total":0}}'
)

HEALTH_HOUR = (
    b'{"specversion":"1.0","id":"01JD8Z3V7K5M2Q9W4R6T8Y0B1G","source":"edge/tb-001/bx-0417","type"'
    b':"edge.rollup.health.v1","time":"2026-11-22T15:00:00Z","seq":48,"stream":"t","epoch":"7c1e",'
    b'"boot":42,"tq":"ntp","data":{"since":"2026-11-22T14:00:00Z","lasted_s":3600,"looks":60,"conn'
    b'ected_share":0.95,"connects":1,"temperature_c":[51.0,54.2,58.9],"cpu_pct":[12.1,23.4,61.0],"'
    b'disk_free_mb":[120000.0,120000.0,120000.0],"ack_ms":[31.0,40.5,220.0],"cameras":[["gate",539'
    b"80,0,1.0,1.0,[14.6,15.0,15.2],[4.9,5.0,5.1]]]}}"
)
EVIDENCE_HOUR = (
    b'{"specversion":"1.0","source":"edge/tb-001/bx-0417","time":"2026-11-22T15:00:00Z","stream":"'
    b'u","epoch":"7c1e","id":"01JD8Z3V7K5M2Q9W4R6T8Y0042","type":"edge.evidence.hour.v1","seq":42,'
    b'"data":{"audit":"5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8","heads":['
    b'["gate",[12,59,1795356059000000],[12,3599,1795359599000000],"Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3J'
    b'hdWx0Z2FycGx5d2E","main"],["gate",[13,59,1795356059000000],[13,3599,1795359599000000],"Zm9vY'
    b'mFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2E","sub"]],"purges":{"heads":[["gate",4316,"Zm9vYmF'
    b'yYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2E"]],"rules":{"age":360},"bytes":720000000,"from_s":1'
    b'792764000,"until_s":1792767600}},"key":"kq3vX0b1dPz4Wn7y","signature":"3o1a4Yc0pWw5N6mVbq1m0'
    b'E2rT9uJ8sXk7LhPzGfDdCeBaQyRtUiOpAsDfGhJkLzXcVbNmQwErTyUiOpAsDfGhJ"}'
)
INFO = (
    b'{"box":"bx-0417","site":"tb-001","model":"Raspberry Pi 5 Model B Rev 1.0","version":"0.1.0",'
    b'"os":"Debian GNU/Linux 12","boot":42,"epoch":"7c1e","cameras":[{"camera_id":"gate","name":"M'
    b'ain gate","can":["ptz","events"],"maker":"Hanwha","model":"XNP-6400","firmware":"1.41","cali'
    b'bration":"check"}],"detector":{"name":"nanodet-plus-m","version":"1","sha256":"9f86d081884c7'
    b'd659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","labels":["person"]},"commands":["snaps'
    b'hot","clip"],"schemas":["event.v1","telemetry.v1","command.v1"],"key_id":"kq3vX0b1dPz4Wn7y",'
    b'"key_kind":"file","simulated":true,"settings_hash":"5e884898da28047151d0e56f8dc6292773603d0d'
    b'6aabbdd62a11ef721d1542d8"}'
)
DESIRED = (
    b'{"box":"bx-0417","version":7,"base":6,"hash":"f5cab4ebed9a8b6d09270508460793ddc4c5b42aaa6be1'
    b'd30a2e18086e9af84e","settings":{"cameras":[{"camera_id":"gate","detect_fps":3.0}],"buffer":{'
    b'"retention_days":14.0}},"by":{"user":"kim"},"iat":1795269600,"iss":"tb-001"}'
)
DICTIONARIES = {
    "telemetry-1.zstd": "4f33d7bc07cc2640a12e9f1b33ccb984a74c7921b6c9dbb12f35df5e2f25b70d",
    "telemetry-2.zstd": "7337953c3782af9eabb934fbd5d86dd4c4d2adcb358b1a43acf2deb4b9045f09",
}


def test_an_event_of_today_and_its_head():
    event = msgspec.json.decode(EVENT, type=Event)
    assert (event.subject, event.phase, event.data.zone) == ("cam-3", Phase.NEW, ())
    ((head, body),) = records.split(EVENT)
    assert (head.stream, head.seq, head.last_seq, head.is_gap) == ("a", 481516, 481516, False)
    assert body == EVENT


def test_a_batch_of_records_and_a_gap():
    gap = Gap(stream=StreamName.EVENT, epoch="7c1e", seq=3, until_seq=9, why="quota")
    encoded = records.encode_gap(gap)
    assert encoded == (
        b'{"kind":"gap","stream":"e","epoch":"7c1e","seq":3,"until_seq":9,"why":"quota"}'
    )
    first, second = records.split(records.join([EVENT, encoded]))
    assert first[1] == EVENT
    assert (second[0].is_gap, second[0].seq, second[0].last_seq) == (True, 3, 9)


@pytest.mark.parametrize("payload", [b"", b"[", b"{}", b"[1]", b'{"stream":"x"}', b"\x00\xff"])
def test_what_is_no_record_is_refused(payload):
    with pytest.raises(msgspec.MsgspecError):
        records.split(payload)


def test_a_command_of_today():
    command = msgspec.json.decode(COMMAND, type=Command)
    assert command.args == PtzMove(camera_id="gate", pan=0.5)
    assert (command.op, command.by.case, command.nonce) == ("ptz.move", "c-1", "")
    assert msgspec.json.encode(command.args).startswith(b'{"op":"ptz.move"')


@pytest.mark.parametrize(
    "args",
    [
        b'{"op":"ptz.move","camera_id":"gate","pan":1.5}',
        b'{"op":"ptz.move","camera_id":"gate","speed":1}',
        b'{"op":"ptz.move","camera_id":"gate","timeout_s":3600}',
        b'{"op":"snapshot","camera_id":"../etc"}',
        b'{"op":"clip","camera_id":"gate","start_at":"2026-11-21T14:00:00Z",'
        b'"end_at":"2026-11-21T13:00:00Z","upload_url":""}',
        b'{"op":"clip","camera_id":"gate","start_at":"2026-11-21T14:00:00",'
        b'"end_at":"2026-11-21T15:00:00","upload_url":""}',
        b'{"op":"reboot"}',
    ],
)
def test_orders_outside_the_contract_are_refused_whole(args):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(args, type=Args)


def test_every_operation_is_named_once():
    assert op_of(PtzMove(camera_id="c")) == "ptz.move"
    schema = msgspec.json.schema(Args)["anyOf"]
    assert len(schema) == len(OPERATIONS) == len(set(OPERATIONS))


def test_replies_end_with_a_final_state():
    reply = msgspec.json.decode(b'{"id":"x","state":"failed","code":"camera.lost"}', type=Reply)
    assert reply.state.is_final
    assert [state for state in ReplyState if not state.is_final] == ["accepted", "progress"]


def test_telemetry_of_today():
    sample = msgspec.json.decode(TELEMETRY, type=Telemetry)
    assert sample.cameras[0].state is CameraState.ONLINE
    assert sample.board is None
    assert sample.cameras[0].recording is None


def test_acks_presence_and_birth_of_today():
    acks = msgspec.json.decode(b'{"a":{"upto":12,"epoch":"7c1e","nak":13}}', type=Acks)
    assert acks == {StreamName.ALARM: Ack(upto=12, epoch="7c1e", nak=13)}
    assert msgspec.json.decode(b'{"online":false}', type=CenterState).online is False
    info = b'{"box":"b","site":"s","model":"m","version":"1","boot":1,"epoch":"e"}'
    assert msgspec.json.decode(info, type=Info).cameras == ()


def test_a_late_will_never_hides_a_newer_connection():
    first = State(online=True, boot=1, conn=10)
    second = State(online=True, boot=1, conn=20)
    late_will = State(online=False, boot=1, conn=10)
    assert second.supersedes(first)
    assert not late_will.supersedes(second)
    assert late_will.supersedes(first)
    assert State(online=True, boot=1, conn=5).supersedes(second)  # its database was lost


def test_a_changed_audit_entry_shows():
    entry = AuditEntry(command_id="1", op="ping", actor="kim", outcome="done").sealed(CHAIN_START)
    assert entry.is_sealed()
    assert not msgspec.structs.replace(entry, actor="lee").is_sealed()


def test_topics_are_built_and_read_back():
    address = BoxAddress("tb-001", "bx-0417")
    for channel in Channel:
        topic = address.topic(channel)
        assert parse(topic) == (address, channel)
        assert topic.count("/") <= 5
    assert address.topic(Channel.ALARM) == "edge/1/tb-001/bx-0417/up/alm"
    assert address.down_filter == "edge/1/tb-001/bx-0417/dn/+"
    assert up_filter("tb-001") == "edge/1/tb-001/+/up/+"
    assert parse(center_state_topic("tb-001")) is None
    assert set(CHANNEL_OF) == set(StreamName)
    assert set(MAX_BYTES) == set(Channel)


@pytest.mark.parametrize(
    "topic",
    ["edge/2/a/b/up/evt", "edge/1/a/b/up/new", "edge/1/A/b/up/evt", "edge/1/a/b/up/evt/x", ""],
)
def test_foreign_topics_are_not_taken_for_ours(topic):
    assert parse(topic) is None


def test_an_hour_of_health_of_today_and_of_before_boot_was_told():
    record = msgspec.json.decode(HEALTH_HOUR, type=HealthRecord)
    assert (record.boot, record.tq, record.stream) == (42, TimeQuality.NTP, StreamName.TELEMETRY)
    assert (record.data.lasted_s, record.data.looks, record.data.connects) == (3600, 60, 1)
    assert record.data.temperature_c == Spread(51.0, 54.2, 58.9)
    assert record.data.cameras == (
        CameraHour("gate", 53980, 0, 1.0, 1.0, Spread(14.6, 15.0, 15.2), Spread(4.9, 5.0, 5.1)),
    )
    before = HEALTH_HOUR.replace(b'"boot":42,"tq":"ntp",', b"")
    assert msgspec.json.decode(before, type=HealthRecord).boot is None


def test_an_hour_of_evidence_of_today_and_what_its_signature_covers():
    record = msgspec.json.decode(EVIDENCE_HOUR, type=BoxHourRecord)
    assert [(each.camera_id, each.stream) for each in record.data.heads] == [
        ("gate", "main"),
        ("gate", "sub"),
    ]
    assert record.data.heads[0].last == HeadPlace(12, 3599, 1795359599000000)
    assert record.data.purges.rules == {"age": 360}
    assert hashlib.sha256(record.data.to_sign()).hexdigest() == (
        "e2800b1188e0bd15524861c5d9121c59fe0297c64373752e6e6197ae5f694f03"
    )


def test_a_birth_document_with_all_it_may_tell():
    info = msgspec.json.decode(INFO, type=Info)
    assert (info.cameras[0].can, info.cameras[0].calibration) == (("ptz", "events"), "check")
    assert (info.detector.labels, info.key_kind, info.simulated) == (("person",), "file", True)
    told = msgspec.json.decode(INFO)
    assert told | msgspec.json.decode(msgspec.json.encode(info)) == told


def test_a_wanted_configuration_of_today_and_its_hash():
    desired = msgspec.json.decode(DESIRED, type=Desired)
    assert (desired.version, desired.base, desired.by.user) == (7, 6, "kim")
    assert settings_hash(desired.settings) == desired.hash


def test_a_dictionary_that_boxes_use_is_never_made_again():
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in coding.DICTIONARIES.iterdir()
    }
    assert DICTIONARIES.items() <= found.items()


@pytest.mark.parametrize(
    "frame",
    [
        bytes.fromhex(
            "28b52ffd0100011d0200b87b312d3230333a322e3534323137673230333930307d7d0ffc39d7e285"
            "e849462b597d0e1b84c37d9273c3e261c68cd2582016d5c4433b61b40f1b58b6e3319f6b16"
        ),
        bytes.fromhex(
            "28b52ffd010002d5010073410323495bf4f4edcc7fca97d822010ffca61c1493d467678bf31f9d8c"
            "88ff9d5460d241a0c539260d9eca8c05216f999a9005ccade1e1521f"
        ),
    ],
    ids=["dictionary-1", "dictionary-2"],
)
def test_packed_telemetry_of_every_age_is_read(frame):
    assert coding.unpack(frame, 100_000) == TELEMETRY
