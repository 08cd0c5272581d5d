"""How long wrong tries at the page make one wait."""

from agent.local.access import people
from agent.local.access.back_off import BackOff
from tests.fake_clock import FakeClock
from tests.made_twice import MadeTwice


async def test_who_has_waited_is_let_try_although_a_full_disk_undid_the_first_count(tmp_path):
    db, clock = MadeTwice(tmp_path / "box.db", [people.PART]), FakeClock()
    await db.start()
    back_off = BackOff(db, clock)
    for _ in range(6):
        await back_off.charge("kim")
        clock.pass_s(600.0)
    await db.stop()
