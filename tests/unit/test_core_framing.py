"""Messages arrive whole and in order, and a length beyond the cap is refused."""

import asyncio
import socket
import threading

import pytest

from agent.core.framing import (
    FramingError,
    MessageSplitter,
    read_frame,
    recv_message,
    send_message,
    write_frame,
)

MESSAGES = [b"", b"a", b"x" * 300_000, b"end"]


def test_messages_arrive_whole_and_in_order_over_a_socket():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=lambda: [send_message(ours, m) for m in MESSAGES])
        sender.start()
        assert [recv_message(theirs) for _ in MESSAGES] == MESSAGES
        sender.join()
        ours.close()
        assert recv_message(theirs) is None


@pytest.mark.parametrize("cut", [b"\0\0", b"\0\0\0\5", b"\0\0\0\5abc"])
def test_a_stream_cut_in_mid_message_is_an_error_not_an_end(cut):
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(cut)
        ours.close()
        with pytest.raises(FramingError) as caught:
            recv_message(theirs)
    assert caught.value.code == "framing.cut"


def test_nothing_beyond_the_cap_is_sent_or_taken():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(FramingError):
            send_message(ours, b"12345", max_bytes=4)
        ours.sendall(b"\xff\xff\xff\xff")
        with pytest.raises(FramingError) as caught:
            recv_message(theirs)
    assert caught.value.code == "framing.too_long"


async def test_asyncio_ends_speak_the_same_framing():
    ours, theirs = socket.socketpair()
    _reader, writer = await asyncio.open_unix_connection(sock=ours)
    far_reader, far_writer = await asyncio.open_unix_connection(sock=theirs)
    for message in MESSAGES:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write_frame(writer, message))
            got = tasks.create_task(read_frame(far_reader))
        assert got.result() == message
    writer.write(b"\0\0\0\5ab")
    writer.close()
    with pytest.raises(FramingError):
        await read_frame(far_reader)
    assert await read_frame(far_reader) is None
    far_writer.close()
    await writer.wait_closed()


async def test_asyncio_refuses_beyond_the_cap():
    reader = asyncio.StreamReader()
    reader.feed_data(b"\0\0\0\5abcde")
    with pytest.raises(FramingError) as caught:
        await read_frame(reader, max_bytes=4)
    assert caught.value.code == "framing.too_long"


@pytest.mark.parametrize("step", [1, 3, 7, 1_000_000])
def test_the_splitter_finds_the_messages_however_the_stream_is_chopped(step):
    stream = b"".join(len(m).to_bytes(4, "big") + m for m in [b"", b"ab", b"c" * 50])
    splitter = MessageSplitter()
    chunks = (stream[at : at + step] for at in range(0, len(stream), step))
    assert [m for chunk in chunks for m in splitter.feed(chunk)] == [b"", b"ab", b"c" * 50]


def test_the_splitter_refuses_beyond_the_cap():
    with pytest.raises(FramingError):
        list(MessageSplitter(max_bytes=4).feed(b"\0\0\0\5"))
