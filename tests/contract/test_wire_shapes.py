"""What an old box or center once sent must be understood for ever: the bytes here never change."""

import msgspec
import pytest

from agent.contract import records
from agent.contract.acks import Ack, Acks
from agent.contract.audit import CHAIN_START, AuditEntry
from agent.contract.commands import OPERATIONS, Args, Command, Reply, ReplyState, op_of
from agent.contract.events import Event, Gap, Phase, StreamName
from agent.contract.info import Info
from agent.contract.presence import CenterState, State
from agent.contract.ptz_args import PtzMove
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
