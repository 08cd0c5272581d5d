"""Knock at all 65,535 TCP ports of one address and ask for its time; prints what answered."""

import errno
import json
import resource
import select
import socket
import sys
import time

AT_ONCE, PATIENCE_S = 2000, 3.0


def knock(address, ports):
    """Return the ports where a connection came about, and those that refused one."""
    doors, answered = {}, {}
    poll = select.poll()
    for port in ports:
        door = socket.socket()
        door.setblocking(False)
        door.connect_ex((address, port))
        doors[door.fileno()] = (door, port)
        poll.register(door, select.POLLOUT)
    end_s = time.monotonic() + PATIENCE_S
    while doors and (left_s := end_s - time.monotonic()) > 0:
        for number, _ in poll.poll(left_s * 1000):
            door, port = doors.pop(number)
            answered[port] = door.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            poll.unregister(number)
            door.close()
    for door, _ in doors.values():
        door.close()
    opened = [port for port, fate in answered.items() if fate == 0]
    return opened, [port for port, fate in answered.items() if fate == errno.ECONNREFUSED]


def tells_the_time(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as letter:
        letter.settimeout(5.0)
        letter.sendto(b"\x23" + bytes(47), (address, 123))
        try:
            return len(letter.recv(100)) >= 48
        except OSError:
            return False


def main(address):
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    opened, refused = [], []
    for first in range(1, 65_536, AT_ONCE):
        found = knock(address, range(first, min(first + AT_ONCE, 65_536)))
        opened += found[0]
        refused += found[1]
    told = {"tcp": sorted(opened), "tcp refused": sorted(refused)}
    sys.stdout.write(json.dumps({**told, "time": tells_the_time(address)}))


main(sys.argv[1])
