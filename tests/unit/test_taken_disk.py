"""A disk of a dead box becomes this box's own, also where the service remembers another one."""

import msgspec

from agent.app.disk_owner import accept_disk
from agent.buffer import claim
from agent.buffer.medium import ID_FILE
from agent.settings.model import BufferSettings


def test_the_service_forgets_its_former_disk_on_a_technician_s_word(tmp_path):
    book, mount = tmp_path / "book", tmp_path / "mount"
    book.mkdir()
    mount.mkdir()
    (mount / ID_FILE).write_text("of-the-dead-box\n")
    remembered = claim.file_of(book, str(mount))
    remembered.write_bytes(msgspec.json.encode(claim.Claim(str(mount), "its-own")))
    assert accept_disk(mount / "data", BufferSettings(), book)
    assert not remembered.exists()
    assert not accept_disk(mount / "data", BufferSettings(), book)


def test_its_own_disk_is_left_alone(tmp_path):
    (tmp_path / ID_FILE).write_text("its-own\n")
    remembered = claim.file_of(tmp_path, str(tmp_path))
    remembered.write_bytes(msgspec.json.encode(claim.Claim(str(tmp_path), "its-own")))
    assert not accept_disk(tmp_path / "data", BufferSettings(), tmp_path)
    assert remembered.exists()
