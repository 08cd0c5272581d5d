"""A code on a label and a person's yes make a box one of the city's; nothing less does."""

import asyncio
import hashlib
import json
import ssl
import tomllib
from datetime import timedelta

import msgspec
import pytest

from agent.contract.enrolment import CodeKey, new_code
from agent.core.errors import EnrolError, PolesideError
from agent.enrol.identity import as_toml, settings_of, write_settings
from agent.enrol.renewal import CertificateRenewal
from agent.enrol.tls_key import life_of
from agent.settings.load import validate
from agent.simulators.center.enrolment import CODE_LIFE, Registrar
from tests.enrolling import CLOCK, NewBox, enrolment_service, killed_at
from tests.fake_clock import FakeClock

URLS = ("mqtts://broker.example.org:8883",)


@pytest.fixture
def registrar(tmp_path):
    return Registrar(tmp_path / "center", CLOCK, URLS)


@pytest.fixture
async def url(registrar):
    async with enrolment_service(registrar) as url:
        yield url


async def code_of(attempt):
    """Return the code of the error that `attempt` ends with."""
    with pytest.raises(EnrolError) as caught:
        await attempt
    return caught.value.code


def approve(registrar, name="bx-1", **how):
    return registrar.approve(name, "tb-001", **how)


async def test_a_box_with_its_code_is_let_in_once_somebody_approves(registrar, url, tmp_path):
    box = NewBox(tmp_path / "box", url, registrar.new_code("bx-1"), registrar)
    assert await code_of(box.enrol()) == "enrol.waiting"
    assert [b.state for b in registrar.boxes()] == ["asks"]
    approve(registrar)
    identity = await box.enrol()
    assert (identity.site, identity.box, identity.broker_urls) == ("tb-001", "bx-1", URLS)
    assert box.files.key.stat().st_mode & 0o777 == 0o600
    assert json.loads(box.files.center_keys.read_text())["keys"]
    begins, ends = life_of(box.files.certificate.read_text())
    assert timedelta(days=90) <= ends - begins < timedelta(days=91)


async def test_neither_code_nor_key_is_sent_or_kept(registrar, url, tmp_path):
    code = registrar.new_code("bx-1")
    box = NewBox(tmp_path / "box", url, code, registrar)
    await code_of(box.enrol())
    approve(registrar)
    await box.enrol()
    private = b"".join(box.files.key.read_bytes().splitlines()[1:-1])
    plain = code.replace("-", "").encode()
    everything = [p for p in tmp_path.rglob("*") if p.is_file() and p != box.files.key]
    assert len(everything) > 8
    for path in everything:
        content = path.read_bytes().replace(b"-", b"").replace(b"\n", b"")
        assert plain not in content
        assert private not in content


async def test_a_wrong_code_is_refused_and_guessing_gets_slow_for_good(registrar, url, tmp_path):
    right = registrar.new_code("bx-1")
    for number in range(7):
        wrong = NewBox(tmp_path / f"wrong-{number}", url, new_code(), registrar)
        code = await code_of(wrong.enrol())
        assert code == ("enrol.wrong_code" if number < 5 else "enrol.too_many") or number == 5
    async with enrolment_service(Registrar(tmp_path / "center", CLOCK, URLS)) as restarted:
        box = NewBox(tmp_path / "box", restarted, right, registrar)
        assert await code_of(box.enrol()) == "enrol.too_many"


async def test_a_label_that_was_overheard_is_worth_nothing(registrar, url, tmp_path):
    code, thief = registrar.new_code("bx-1"), new_code()
    box = NewBox(tmp_path / "thief", url, thief, registrar)
    box._enrolment._code = CodeKey(CodeKey.of(code).label, CodeKey.of(thief).key)
    assert await code_of(box.enrol()) == "enrol.wrong_code"
    assert [b.state for b in registrar.boxes()] == ["code-made"]


async def test_a_code_is_good_for_one_key(registrar, url, tmp_path):
    code = registrar.new_code("bx-1")
    await code_of(NewBox(tmp_path / "first", url, code, registrar).enrol())
    assert await code_of(NewBox(tmp_path / "second", url, code, registrar).enrol()) == "enrol.used"
    again = NewBox(tmp_path / "second", url, registrar.new_code("bx-1"), registrar)
    assert await code_of(again.enrol()) == "enrol.waiting"


async def test_a_code_grows_old(tmp_path):
    code = Registrar(tmp_path / "center", CLOCK, URLS).new_code("bx-1")
    later = FakeClock(CLOCK.utc_now() + CODE_LIFE + timedelta(days=1))
    registrar = Registrar(tmp_path / "center", later, URLS)
    async with enrolment_service(registrar) as url:
        pin = await asyncio.to_thread(pin_of, url)
        box = NewBox(tmp_path / "box", url, code, registrar, pin=pin)
        assert await code_of(box.enrol()) == "enrol.wrong_code"


def pin_of(url):
    host, _, port = url.removeprefix("https://").partition(":")
    pem = ssl.get_server_certificate((host, int(port)))
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


async def test_a_box_turned_away_stays_out(registrar, url, tmp_path):
    box = NewBox(tmp_path / "box", url, registrar.new_code("bx-1"), registrar)
    await code_of(box.enrol())
    registrar.refuse("bx-1")
    assert await code_of(box.enrol()) == "enrol.refused"


async def test_only_the_pinned_center_is_spoken_to(registrar, url, tmp_path):
    pin = await asyncio.to_thread(pin_of, url)
    code = registrar.new_code("bx-1")
    box = NewBox(tmp_path / "box", url, code, registrar, pin=pin)
    assert await code_of(box.enrol()) == "enrol.waiting"
    other = NewBox(tmp_path / "box", url, code, registrar, pin="00" * 32)
    assert await code_of(other.enrol()) == "enrol.tls"


async def test_a_center_nobody_vouches_for_is_not_spoken_to(registrar, url, tmp_path):
    stranger = Registrar(tmp_path / "stranger", CLOCK)
    box = NewBox(tmp_path / "box", url, registrar.new_code("bx-1"), stranger)
    assert await code_of(box.enrol()) == "enrol.tls"


class Liar(Registrar):
    """A center with the right certificate that lets everybody in and knows no code."""

    def take_request(self, request, who):
        answer = super().take_request(request, who)
        return msgspec.structs.replace(answer, proof="made-up")


async def test_a_center_that_does_not_know_the_code_gives_the_box_nothing(tmp_path):
    registrar = Liar(tmp_path / "center", CLOCK, URLS)
    async with enrolment_service(registrar) as url:
        box = NewBox(tmp_path / "box", url, registrar.new_code("bx-1"), registrar)
        await code_of(box.enrol())
        approve(registrar)
        assert await code_of(box.enrol()) == "enrol.tls"
    assert box.files.read() is None


async def test_a_kill_at_any_step_of_storing_heals_by_running_it_again(registrar, url, tmp_path):
    """Killed at each rename of a part: the parts before are there, the identity is not."""
    code = registrar.new_code("bx-1")
    box = NewBox(tmp_path / "box", url, code, registrar)
    await code_of(box.enrol())
    approve(registrar)
    command = ["enrol", "--center", url, "--ca", registrar.authority.ca_file, "--code", code]
    command += ["--config", tmp_path / "box.toml", "--data-dir", box.data_dir, "--wait-s", "5"]
    program = "import sys; from agent.local.cli.main import main; main(sys.argv[1:])"
    for step in range(1, 6):
        await asyncio.to_thread(killed_at, step, program, *command)
        assert box.files.read() is None
        assert box.files.certificate.exists() is (step > 1)
    key = box.files.key.read_bytes()
    assert (await box.enrol()).box == "bx-1"
    assert box.files.key.read_bytes() == key


async def test_the_settings_file_is_written_once_and_a_technicians_is_left_alone(
    registrar, url, tmp_path
):
    box = NewBox(tmp_path / "box", url, registrar.new_code("bx-1"), registrar)
    await code_of(box.enrol())
    approve(registrar)
    table = settings_of(await box.enrol(), box.data_dir)
    validate(tomllib.loads(as_toml(table)))
    path = tmp_path / "etc" / "poleside.toml"
    assert write_settings(path, table)
    path.write_text(path.read_text() + '\n[[cameras]]\ncamera_id = "gate"\n')
    assert not write_settings(path, table)
    path.write_text('site = "elsewhere"\n')
    with pytest.raises(PolesideError, match=r"enrol\.settings"):
        write_settings(path, table)
    assert path.read_text() == 'site = "elsewhere"\n'


async def enrolled(registrar, url, folder):
    box = NewBox(folder, url, registrar.new_code("bx-1"), registrar)
    await code_of(box.enrol())
    approve(registrar)
    await box.enrol()
    return box


@pytest.mark.parametrize(("day", "renews"), [(59, False), (61, True)])
async def test_a_certificate_is_renewed_at_two_thirds_of_its_life(
    registrar, url, tmp_path, day, renews
):
    box = await enrolled(registrar, url, tmp_path / "box")
    before, key = box.files.certificate.read_text(), box.files.key.read_bytes()
    renewal = CertificateRenewal(FakeClock(CLOCK.utc_now() + timedelta(days=day)), box.data_dir)
    assert await asyncio.to_thread(renewal.look) is renews
    assert (box.files.certificate.read_text() != before) is renews
    assert box.files.key.read_bytes() == key
    assert renewal.ends_at == life_of(box.files.certificate.read_text())[1]


async def test_one_that_is_over_is_renewed_with_the_key_alone(registrar, url, tmp_path):
    box = await enrolled(registrar, url, tmp_path / "box")
    renewal = CertificateRenewal(FakeClock(CLOCK.utc_now() + timedelta(days=120)), box.data_dir)
    assert await asyncio.to_thread(renewal.look)


async def test_a_replaced_box_renews_nothing(registrar, url, tmp_path):
    old = await enrolled(registrar, url, tmp_path / "old")
    new = NewBox(tmp_path / "new", url, registrar.new_code("bx-2"), registrar)
    await code_of(new.enrol())
    address = registrar.boxes()[0].address
    approve(registrar, "bx-2", take_over=address)
    assert (await new.enrol()).box == "bx-1"
    assert [b.state for b in registrar.boxes()] == ["replaced", "approved"]
    renewal = CertificateRenewal(FakeClock(CLOCK.utc_now() + timedelta(days=61)), old.data_dir)
    with pytest.raises(EnrolError, match=r"enrol\.refused"):
        await asyncio.to_thread(renewal.look)


async def test_approval_needs_a_box_that_asked_and_a_free_name(registrar, url, tmp_path):
    with pytest.raises(EnrolError, match=r"enrol\.unknown"):
        approve(registrar)
    registrar.new_code("bx-1")
    with pytest.raises(EnrolError, match=r"enrol\.not_asked"):
        approve(registrar)
    await enrolled(registrar, url, tmp_path / "one")
    same_name = NewBox(tmp_path / "two", url, registrar.new_code("bx-1"), registrar)
    await code_of(same_name.enrol())
    with pytest.raises(EnrolError, match=r"enrol\.taken"):
        approve(registrar)


@pytest.mark.parametrize("text", ["", "K7Q2", "K7Q2M-9XW4B-T3RZD-H6FV8-A", "U" * 20])
def test_what_can_be_no_code_is_told_before_anything_is_sent(text, registrar, tmp_path):
    with pytest.raises(EnrolError, match=r"enrol\.wrong_code"):
        NewBox(tmp_path, "https://127.0.0.1:1", text, registrar)


def test_a_code_is_read_as_people_write_it():
    code = new_code()
    assert len(code.replace("-", "")) * 5 == 100
    sloppy = code.replace("-", " ").lower().replace("0", "o").replace("1", "l")
    assert CodeKey.of(sloppy) == CodeKey.of(code)


def test_a_center_is_reached_by_https_only(registrar, tmp_path):
    with pytest.raises(EnrolError, match=r"enrol\.address"):
        NewBox(tmp_path, "http://127.0.0.1:8480", new_code(), registrar)
