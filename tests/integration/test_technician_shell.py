"""A technician's key opens a shell for its time, to its owner alone, and is gone at its end."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest
from poleside_image.shell import Folders, Shell, checked_key
from poleside_recipe.tree import add_technician

from agent.local.service.shell_key import fingerprint
from agent.simulators.broker import free_port
from tests.claimed_box import claimed_box, cookie_of
from tests.integration.test_firewall import APART, PATH, RULES, missing

CONFIG = RULES.parent / "ssh/poleside_sshd_config"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVPPV3X6q0PYmLzcrQqU2hGvzmVeJjdCVYbWs0d2nXA"
PRINT = "SHA256:WmOr4JFOUZryqFQROopuQmT6D8FF5cLgnjeU8LjvQQo"  # as ssh-keygen -l says
NOW_S = 1_800_000_000.0


class Bench:
    """The service in folders of its own; what it asks of systemd and the firewall is noted."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.now_s, self.on_s = folder, NOW_S, 60.0
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        for name in ("systemctl", "nft", "ssh-keygen"):
            program = bin_folder / name
            program.write_text(
                f'#!/bin/sh\necho {name} "$@" >>{folder}/asked\n'
                f"[ {name} != ssh-keygen ] || echo secret >{folder}/host\n"
                f"[ ! -e {folder}/no-{name} ]\n"
            )
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
        (folder / "wishes").mkdir()
        self.start()

    def start(self):
        """Begin as after a boot or a kill."""
        (self.folder / "asked").write_text("")
        folders = Folders(
            *(self.folder / name for name in ("wishes", "kept.json", "host", "run")),
            user=os.geteuid(),
        )
        self.shell = Shell(folders, lambda: self.now_s, lambda: self.on_s)
        self.shell.start()

    def ask(self, **plan):
        (self.folder / "wishes/plan.json").write_text(json.dumps(plan))
        return self.shell.look()

    def give(self, **changed):
        return self.ask(**{"plan_id": "p", "key": KEY, "hours": 4, "by": "page:kim"} | changed)

    @property
    def told(self):
        return json.loads((self.folder / "run/state.json").read_text())

    @property
    def asked(self):
        return (self.folder / "asked").read_text()

    @property
    def is_open(self):
        return (self.folder / "run/authorized_keys").exists()


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


def test_nothing_is_open_until_a_key_is_given_and_nothing_after_its_time(bench):
    assert not bench.is_open
    assert "nft flush set inet poleside shell_ports" in bench.asked
    assert bench.give()
    assert f"{KEY}\n" in (bench.folder / "run/authorized_keys").read_text()
    assert 'restrict,pty,expiry-time="' in (bench.folder / "run/authorized_keys").read_text()
    assert bench.asked.endswith("nft add element inet poleside shell_ports { 22 }\n")
    assert (bench.told["outcome"], bench.told["by"]) == ("on", "page:kim")
    bench.now_s += 4 * 3600 + 1
    assert not bench.shell.look()
    assert not bench.is_open
    assert bench.asked.endswith("systemctl stop poleside-sshd.service\n")
    assert (bench.told["outcome"], bench.told["until_s"]) == ("expired", 0)
    assert not (bench.folder / "kept.json").exists()


def test_a_key_outlives_a_boot_but_not_its_time_nor_a_clock_set_back(bench):
    bench.give()
    bench.start()
    assert bench.is_open
    assert bench.told["until_s"] == NOW_S + 4 * 3600
    bench.now_s -= 100 * 3600
    bench.start()
    assert not bench.is_open


def test_a_clock_set_back_a_little_gives_a_key_no_more_time(bench):
    bench.give()
    bench.on_s += 4 * 3600 - 1
    assert bench.shell.look()
    bench.now_s -= 3600
    bench.on_s += 1
    assert not bench.shell.look()
    assert not bench.is_open


def test_it_is_taken_away_by_hand_and_by_another_box_s_identity(bench):
    bench.give()
    assert not bench.ask(action="off")
    assert not bench.is_open
    assert bench.told["outcome"] == "off"


@pytest.mark.parametrize(
    "changed",
    [
        {"key": f'command="/bin/sh" {KEY}'},
        {"key": f"{KEY} kim\n{KEY} another"},
        {"key": "ssh-rsa " + "A" * 372},  # 2048 bits
        {"key": "ssh-dss " + "A" * 500},
        {"key": 7},
        {"hours": 73},
        {"hours": -1},
        {"hours": "for ever"},
        {"hours": float("nan")},
    ],
)
def test_what_is_no_plain_key_or_too_long_is_refused_and_opens_nothing(bench, changed):
    assert not bench.give(**changed)
    assert not bench.is_open
    assert bench.told["outcome"] == "refused"


def test_where_sshd_does_not_start_nothing_stays_open(bench):
    (bench.folder / "no-systemctl").touch()
    assert not bench.give()
    assert not bench.is_open
    assert bench.told["outcome"] == "failed"


@contextlib.contextmanager
def served_shell(box, monkeypatch):
    """Run the service beside a box's page until the block ends."""
    folder = box.folder / "root"
    folder.mkdir()
    bench = Bench(folder, monkeypatch)
    run = box.folder / "network/run/poleside-shell"
    run.parent.mkdir(parents=True)
    run.symlink_to(folder / "run")
    (folder / "wishes").rmdir()
    (box.folder / "shell").mkdir(exist_ok=True)
    (folder / "wishes").symlink_to(box.folder / "shell")
    bench.now_s = time.clock_gettime(time.CLOCK_REALTIME)
    ended = threading.Event()

    def serve():
        while not ended.wait(0.05):
            bench.shell.look()

    service = threading.Thread(target=serve)
    service.start()
    try:
        yield bench
    finally:
        ended.set()
        service.join()


def shell_entries(box):
    return [
        (*one[1:], entry.detail)
        for one, entry in zip(box.told(), box.entries(), strict=True)
        if entry.op == "page.shell"
    ]


def test_the_page_gives_a_key_and_takes_it_and_the_chain_tells(tmp_path, monkeypatch):
    with claimed_box(tmp_path) as box:
        kim = cookie_of(box.take_over())
        csrf = box.csrf(kim)
        assert box.send("/service/shell", kim, csrf=csrf, key=KEY, hours="4").status == 409
        with served_shell(box, monkeypatch) as bench:
            told = box.send("/service/shell", kim, csrf=csrf, key=KEY, hours="4")
            assert (told.status, bench.is_open) == (200, True)
            assert "page:kim" in told.body.decode()
            refused = box.send("/service/shell", kim, csrf=csrf, key="no key", hours="4")
            assert (refused.status, bench.is_open) == (409, True)  # the first one stays
            assert box.send("/service/shell", kim, csrf=csrf, key=KEY, hours="73").status == 409
            assert box.send("/service/shell/end", kim, csrf=csrf).status == 200
            assert not bench.is_open
        entries = shell_entries(box)
        assert [one[1:3] for one in entries] == [
            ("refused", "shell.not_managed"),
            ("done", ""),
            ("refused", "shell.refused"),
            ("refused", "shell.hours"),
            ("done", ""),
        ]
        assert [one[3].startswith(f"key {PRINT}") for one in entries] == [
            *(True, True),
            *(False, True),
            False,
        ]
        assert not any("AAAA" in one[3] or "no key" in one[3] for one in entries[:4])


def test_who_sees_some_cameras_alone_neither_sees_nor_gives_nor_ends_a_shell(tmp_path, monkeypatch):
    with claimed_box(tmp_path) as box:
        kim = cookie_of(box.take_over())
        box.add(kim, "lee", "technician", "gate")
        lee = cookie_of(box.sign_in("lee"))
        with served_shell(box, monkeypatch) as bench:
            fields = {"key": KEY, "hours": "4"}
            assert box.send("/service/shell", lee, csrf=box.csrf(lee), **fields).status == 409
            assert not bench.is_open
            assert box.send("/service/shell", kim, csrf=box.csrf(kim), **fields).status == 200
            assert box.send("/service/shell/end", lee, csrf=box.csrf(lee)).status == 409
            assert bench.is_open
            for cookie, is_shown in ((kim, True), (lee, False)):
                page = box.page.ask("/service", Cookie=cookie).body
                assert (b'action="/service/shell"' in page) == is_shown
        told = [one for one in shell_entries(box) if one[0] == "page:lee"]
        refused = ("page:lee", "refused", "shell.cameras")
        assert told == [(*refused, f"key {PRINT}"), (*refused, "end")]


@pytest.mark.parametrize("how", ["removed", "another role", "claimed anew"])
def test_a_key_goes_with_the_right_of_who_gave_it_and_with_nobody_else_s(
    tmp_path, monkeypatch, how
):
    with claimed_box(tmp_path) as box:
        kim = cookie_of(box.take_over())
        box.add(kim, "lee", "technician")
        box.add(kim, "park", "technician")
        lee = cookie_of(box.sign_in("lee"))
        with served_shell(box, monkeypatch) as bench:
            fields = {"csrf": box.csrf(lee), "key": KEY, "hours": "4"}
            assert box.send("/service/shell", lee, **fields).status == 200
            box.send("/people/remove", kim, csrf=box.csrf(kim), name="park")
            assert len(shell_entries(box)) == 1
            assert bench.is_open
            if how == "removed":
                box.send("/people/remove", kim, csrf=box.csrf(kim), name="lee")
            elif how == "another role":
                box.add(kim, "lee", "operator", "gate")
            else:
                box.take_over("lee")
            until_s = time.monotonic() + 60
            while bench.is_open:
                assert time.monotonic() < until_s
                time.sleep(0.05)
        by = "lee" if how == "claimed anew" else "kim"
        gone = (f"page:{by}", "done", "", "the key that lee gave is taken away")
        assert shell_entries(box)[-1] == gone


def test_a_fingerprint_is_what_ssh_keygen_says_and_tells_nothing_of_what_is_no_key():
    assert fingerprint(f" {KEY} kim@laptop") == PRINT
    assert fingerprint(f'command="/bin/sh" {KEY}') == PRINT
    for text in ("", "no key", "ssh-ed25519 AAAAC", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"):
        assert fingerprint(text) == "without fingerprint"


def test_the_firewall_has_room_for_a_shell_and_none_in_it():
    if why := missing():
        pytest.skip(why)
    script = (
        f"nft -f {RULES} && nft list set inet poleside shell_ports"
        " && nft add element inet poleside shell_ports '{ 22 }'"
        " && nft flush set inet poleside shell_ports"
    )
    done = subprocess.run(
        [*APART, "sh", "-c", script],
        env={"PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "elements" not in done.stdout


@pytest.fixture
def sshd():
    """The image's sshd as its own user, in a mount name space whose user list has him."""
    if os.geteuid() != 0 or not all(
        shutil.which(tool, path=PATH) for tool in ("sshd", "ssh", "ssh-keygen", "setpriv")
    ):
        pytest.skip("needs root and openssh-server")
    folder = Path(tempfile.mkdtemp(prefix="poleside-sshd-", dir="/run"))
    folder.chmod(0o755)
    etc = folder / "etc"
    etc.mkdir()
    for name in ("passwd", "group", "shadow"):
        shutil.copyfile(f"/etc/{name}", etc / name)
    add_technician(folder)
    for name in ("host_key", "mine", "foreign"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
        )
    os.chown(folder / "host_key", 980, 980)
    port = free_port()
    text = CONFIG.read_text().replace("/run/poleside-shell", str(folder))
    (folder / "config").write_text(text.replace("Port 22", f"Port {port}\nListenAddress 127.0.0.1"))
    binds = "; ".join(f"mount --bind {etc}/{name} /etc/{name}" for name in ("passwd", "group"))
    program = shutil.which("sshd", path=PATH)
    start = (
        f"{binds}; exec setpriv --reuid 980 --regid 980 --clear-groups --no-new-privs"
        f" {program} -D -e -f {folder}/config"
    )
    log = (folder / "log").open("w")
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", start], stderr=log, stdout=log)
    yield folder, port
    process.terminate()
    process.wait(20)
    log.close()
    shutil.rmtree(folder)


def sign_in(folder, port, key, user="technician"):
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes")
    told = [word for option in options for word in ("-o", option)]
    command = ["ssh", "-F", "none", *told, "-o", "IdentitiesOnly=yes", "-i", str(folder / key)]
    return subprocess.run(
        [*command, "-p", str(port), f"{user}@127.0.0.1", "id -un"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def give(folder, hours):
    public = checked_key((folder / "mine.pub").read_text())
    until = time.strftime("%Y%m%d%H%MZ", time.gmtime(time.clock_gettime(0) + hours * 3600))
    keys = folder / "authorized_keys"
    keys.write_text(f'restrict,pty,expiry-time="{until}" {public}\n')
    keys.chmod(0o644)


def test_a_real_sshd_lets_the_key_s_owner_in_for_its_time_and_nobody_else(sshd):
    folder, port = sshd
    give(folder, 1)
    deadline_s = time.monotonic() + 60
    while "listening" not in (folder / "log").read_text():
        assert time.monotonic() < deadline_s, (folder / "log").read_text()
        time.sleep(0.05)
    assert sign_in(folder, port, "mine").stdout == "technician\n"
    assert sign_in(folder, port, "foreign").returncode == 255
    assert sign_in(folder, port, "mine", "root").returncode == 255
    give(folder, -1)  # sshd itself knows the end, whoever forgets it
    assert sign_in(folder, port, "mine").returncode == 255
    (folder / "authorized_keys").unlink()
    assert sign_in(folder, port, "mine").returncode == 255
