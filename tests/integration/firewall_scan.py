"""Run inside a network of its own: lays three networks with a neighbour each, loads the firewall,
and prints as JSON what of the box and of the other networks each neighbour reaches.

Usage: unshare --user --map-root-user --net python firewall_scan.py NFT_FILE
"""

import errno
import json
import os
import select
import socket
import subprocess
import sys
import time

NETWORKS = {"cam0": "10.77.0", "svc0": "10.77.1", "up0": "192.0.2"}
TCP = (22, 80, 443, 554, 1883, 8080, 8470, 8499, 8500, 8515, 8516)
UDP = (67, 123, 3702, 8470, 40_000)
SOURCES = (50_000, 68, 3702)


def run(*command):
    subprocess.run(command, check=True, timeout=30)


def lay(name, net):
    """Return the process that holds the neighbour's network open."""
    run("ip", "link", "add", name, "type", "veth", "peer", "name", "peer")
    run("ip", "addr", "add", f"{net}.1/24", "dev", name)
    run("ip", "link", "set", name, "up")
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    holder.stdout.readline()
    run("ip", "link", "set", "peer", "netns", str(holder.pid))
    setup = (
        f"ip addr add {net}.9/24 dev peer; ip link set peer up; ip route add default via {net}.1"
    )
    run(*inside(holder), "sh", "-ec", setup)
    return holder


def inside(holder):
    return ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]


def knock(net, others):
    """In a neighbour's network: try everything, return the TCP doors where somebody answered."""
    doors = {}
    for address, ports in [(f"{net}.1", TCP), *((f"{other}.9", (22,)) for other in others)]:
        for port in ports:
            door = socket.socket()
            door.setblocking(False)
            door.connect_ex((address, port))
            doors[door] = [address, port]
    for source in SOURCES:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as letter:
            letter.bind(("", source))
            for port in UDP:
                letter.sendto(b"", (f"{net}.1", port))
    # Only what must open is waited for; what is dropped never opens.
    patience_s = 0.5 if net == NETWORKS["up0"] else 20.0
    _, first, _ = select.select([], list(doors), [], patience_s)
    if first:
        time.sleep(0.5)
    _, answered, _ = select.select([], list(doors), [], 0)
    reached = (0, errno.ECONNREFUSED)  # a refusal counts: somebody is there
    fates = {door: door.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for door in answered}
    opened = [doors[door] for door, fate in fates.items() if fate in reached]
    for door in doors:
        door.close()
    return opened


def heard(boxes):
    """Return which letters came, as [port, from port]."""
    found = set()
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 0.5:
        for port, box in boxes.items():
            try:
                _, (_, source) = box.recvfrom(64)
            except BlockingIOError:
                continue
            found.add((port, source))
            quiet_since = time.monotonic()
    return sorted(found)


def main(rules):
    run("ip", "link", "set", "lo", "up")
    holders = {name: lay(name, net) for name, net in NETWORKS.items()}
    with open("/proc/sys/net/ipv4/ip_forward", "w") as forward:  # noqa: PTH123
        forward.write("1")  # the firewall alone must hold
    run("nft", "-f", rules)
    doors = [socket.create_server(("", port)) for port in TCP]
    boxes = {}
    for port in UDP:
        boxes[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        boxes[port].bind(("", port))
        boxes[port].setblocking(False)
    seen = {}
    for name, net in NETWORKS.items():
        others = [other for other in NETWORKS.values() if other != net]
        command = [*inside(holders[name]), sys.executable, __file__, "knock", net, *others]
        told = subprocess.run(command, check=True, capture_output=True, timeout=90)
        seen[name] = {"tcp": json.loads(told.stdout), "udp": heard(boxes)}
    for door in [*doors, *boxes.values()]:
        door.close()
    for holder in holders.values():
        holder.stdin.close()
        holder.stdout.close()
        holder.wait(10)
    return seen


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    is_neighbour = sys.argv[1] == "knock"
    result = knock(sys.argv[2], sys.argv[3:]) if is_neighbour else main(sys.argv[1])
    sys.stdout.write(json.dumps(result))
