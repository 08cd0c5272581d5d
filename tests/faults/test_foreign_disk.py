"""With another box's disk in it a box can still be taken over, and the disk with it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.app.core_disk import claim_book, on_its_disk
from agent.app.foreign_disk import ForeignDisk
from agent.app.run_dir import forget_run_dir, run_dir
from agent.app.settings_on_disk import StoredSettings, read_to_start
from agent.buffer.medium import ID_FILE
from agent.core.clock import SystemClock
from agent.core.errors import SettingsError
from agent.local.access.claim import ClaimCheck, make_code, make_secret
from agent.local.access.people import AccessError
from agent.local.cli.doctor import doctor
from agent.local.cli.health import health
from agent.local.cli.link import link
from agent.outbox.spool import read_spool
from agent.settings import history
from agent.settings.bootstrap import WHOLE_FILE
from agent.settings.load import DESIRED_FILE, write_local
from agent.settings.model import BufferSettings, Settings
from tests.faults.crash_lab import disk


@pytest.fixture
def mount(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "video"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(mount):
    data_dir = mount / "poleside"
    made = Settings(data_dir=str(data_dir), buffer=BufferSettings(require_mount=str(mount)))
    yield made
    forget_run_dir(made)


def claims(settings, secret):
    """Say whether the label's secret and a code of the console let a technician in."""
    run = run_dir(settings)
    check = ClaimCheck(Path(settings.data_dir), run, SystemClock(), claim_book(settings))
    try:
        check.check(secret, make_code(run, SystemClock()))
    except AccessError:
        return False
    return True


def test_the_box_s_own_label_lets_in_with_any_disk_and_takes_it_over(mount, settings):
    data_dir, clock = Path(settings.data_dir), SystemClock()
    table = {"data_dir": str(data_dir)}
    with disk.tmpfs(mount, "size=1m"):
        data_dir.mkdir()
        own = make_secret(data_dir)
        assert on_its_disk(settings) is settings
        assert claims(settings, own)
        assert ForeignDisk(settings, table, clock).facts() is None
    with disk.tmpfs(mount, "size=1m"):
        (mount / ID_FILE).write_text("0123456789abcdef\n")
        data_dir.mkdir()
        others = make_secret(data_dir)
        in_memory = on_its_disk(settings)
        assert in_memory is not settings
        assert claims(in_memory, own)
        assert not claims(in_memory, others)
        foreign = ForeignDisk(in_memory, table, clock)
        assert foreign.facts() is not None
        assert not (data_dir / "box.db").exists()
        assert foreign.take("page:kim")
        assert on_its_disk(settings) is settings
        assert claims(settings, own)
        assert not claims(settings, others)
        (line,) = read_spool(data_dir).entries
        assert (line.entry.op, line.entry.actor) == ("box.disk_taken", "page:kim")


def test_nothing_stored_on_a_foreign_disk_counts_or_is_changed_until_it_is_taken(mount, settings):
    data_dir, clock = Path(settings.data_dir), SystemClock()
    table = {"data_dir": str(data_dir), "buffer": {"require_mount": str(mount)}}
    with disk.tmpfs(mount, "size=1m"):
        data_dir.mkdir()
        write_local(data_dir, {"log_level": "debug"})
        assert StoredSettings(table, data_dir).read().log_level == "debug"  # a disk's first box
        on_its_disk(settings)
        assert StoredSettings(table, data_dir).read().log_level == "debug"
    with disk.tmpfs(mount, "size=1m"):
        (mount / ID_FILE).write_text("0123456789abcdef\n")
        data_dir.mkdir()
        theirs = {"log_level": "error", "buffer": {"medium_id": "0123456789abcdef"}}
        write_local(data_dir, theirs)
        (data_dir / DESIRED_FILE).write_bytes(b"torn {")
        stored = StoredSettings(table, data_dir)
        with pytest.raises(SettingsError) as refused:
            stored.read()
        assert refused.value.code == "settings.foreign_disk"
        assert stored.is_refused
        assert not stored.was_taken()
        assert (data_dir / DESIRED_FILE).read_bytes() == b"torn {"
        assert ForeignDisk(on_its_disk(settings), table, clock).take("page:kim")
        assert stored.was_taken()
        assert not stored.was_taken()
        assert stored.read().log_level == "error"
        assert not (data_dir / DESIRED_FILE).exists()  # set aside, as at each start


def theirs_on(mount, data_dir):
    """Make the disk at `mount` another box's, with its settings and their history."""
    (mount / ID_FILE).write_text("0123456789abcdef\n")
    data_dir.mkdir()
    table = {"cameras": [{"camera_id": "theirs", "main_url": "rtsp://10.9.9.9/m"}]}
    write_local(data_dir, table | {"broker": {"urls": ["mqtt://theirs.example"]}})
    now = SystemClock().utc_now()
    theirs = history.Version(
        number=0, at=now, by="box", why="start", table=table, local={}, desired={}
    )
    history.add(data_dir, theirs)
    history.mark_good(data_dir)


def test_a_broken_file_is_not_stood_in_for_by_what_a_foreign_disk_keeps(mount, settings, tmp_path):
    data_dir, file = Path(settings.data_dir), tmp_path / "poleside.toml"
    line = f'data_dir = "{data_dir}"\n'
    with disk.tmpfs(mount, "size=1m"):
        on_its_disk(settings)
    with disk.tmpfs(mount, "size=1m"):
        theirs_on(mount, data_dir)
        file.write_text(line + "[buffer\n")
        start = read_to_start(file)
        kept = {"data_dir": str(data_dir), "buffer": {"require_mount": str(mount)}}
        assert (start.table, start.left_out) == (kept, (WHOLE_FILE,))
        assert StoredSettings(start.table, data_dir).is_refused
        # what is left of a file with a mistake counts, and nothing of theirs in its place
        file.write_text(f'{line}site = 5\nbuffer.require_mount = "{mount}"\n')
        start = read_to_start(file)
        assert (start.table, start.left_out) == (kept, ("site",))
        assert ForeignDisk(on_its_disk(settings), start.table, SystemClock()).take("page:kim")
        file.write_text(line + "[buffer\n")
        assert read_to_start(file).table["cameras"][0]["camera_id"] == "theirs"


def test_commands_go_by_nothing_of_a_foreign_disk_either(mount, settings, tmp_path):
    data_dir, file = Path(settings.data_dir), tmp_path / "poleside.toml"
    file.write_text(f'data_dir = "{data_dir}"\nbuffer.require_mount = "{mount}"\n')
    with disk.tmpfs(mount, "size=1m"):
        on_its_disk(settings)
    with disk.tmpfs(mount, "size=1m"):
        theirs_on(mount, data_dir)
        run = CliRunner()
        answer = run.invoke(doctor, ["--config", str(file), "--json"])
        assert "settings.foreign_disk" in answer.stdout
        assert "10.9.9.9" not in answer.stdout
        assert "theirs" not in answer.stdout
        answer = run.invoke(link, ["test", "--config", str(file), "--json"])
        assert "theirs" not in answer.stdout
        assert "another box's" in answer.stderr
        answer = run.invoke(health, ["--config", str(file), "--json"])
        assert "another box's" in answer.stderr


def test_no_disk_and_a_pinned_one_are_not_offered(mount, settings):
    with disk.tmpfs(mount, "size=1m"):
        on_its_disk(settings)
    table = {"data_dir": settings.data_dir}
    away = ForeignDisk(on_its_disk(settings), table, SystemClock())
    assert away.facts() is None
    assert not away.take("page:kim")
    pinned = Settings(
        data_dir=settings.data_dir,
        buffer=BufferSettings(require_mount=str(mount), medium_id="0123456789abcdef"),
    )
    with disk.tmpfs(mount, "size=1m"):
        (mount / ID_FILE).write_text("another\n")
        assert ForeignDisk(on_its_disk(pinned), table, SystemClock()).facts() is None
