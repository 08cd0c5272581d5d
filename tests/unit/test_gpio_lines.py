"""Lines of a GPIO chip through the real libgpiod; only kernel and chip are a stand-in.

What a board's own chip does beyond the kernel's contract (<linux/gpio.h>, uAPI v2) is not tried
here: see `tests/gpio_kernel.py`.
"""

import asyncio
import errno

import pytest

from agent.core.clock import SystemClock
from agent.messages.pole import ContactState
from agent.pole.inputs import Inputs
from agent.pole.outputs import Outputs
from agent.settings.pole import InputSettings, Meaning, OutputSettings, Purpose
from hardware.lines import Bias, LineError
from hardware.pick import pick_board
from tests.gpio_kernel import NO_BIAS, PULL_DOWN, PULL_UP, running_kernel

WAIT_S, PATIENCE_S = 20.0, 30.0


@pytest.fixture
def kernel(tmp_path):
    with running_kernel(tmp_path) as kernel:
        yield kernel


@pytest.fixture
def lines(kernel):
    return pick_board(kernel.folder).lines


def edges_of(line, count):
    """Return the next `count` edges, however the kernel hands them out."""
    found = []
    while len(found) < count:
        some = line.wait(WAIT_S)
        assert some, f"only {len(found)} of {count} edges came"
        found += some
    return [edge.is_active for edge in found]


def test_lines_are_listed_by_their_chips_label_and_who_holds_them(kernel, lines):
    chip = kernel.chip("gpiochip4", "pinctrl-rp1", ("GPIO17", "", "PWR_LED"))
    chip.line("PWR_LED").request(0, b"led", active=False)
    kernel.chip("gpiochip10", "gpio-brcmstb", ("GPIO17",))
    bell = lines.open_input("pinctrl-rp1:0", active_low=False)
    assert [(line.chip, line.offset, line.name, line.used_by) for line in lines.list()] == [
        ("gpio-brcmstb", 0, "GPIO17", None),
        ("pinctrl-rp1", 0, "GPIO17", "poleside"),
        ("pinctrl-rp1", 1, None, None),
        ("pinctrl-rp1", 2, "PWR_LED", "led"),
    ]
    bell.close()


def test_every_edge_of_a_bouncing_press_is_told_in_order_with_its_age(kernel, lines):
    chip = kernel.chip()
    bell = lines.open_input("GPIO17", active_low=False)
    assert bell.read() is False
    assert bell.wait(0.0) == ()
    for level in (1, 0, 1, 0, 1):
        chip.line("GPIO17").drive(level)
    (edge, *_) = found = list(bell.wait(WAIT_S))
    assert 0.0 <= edge.age_s < PATIENCE_S
    rest = edges_of(bell, 5 - len(found)) if len(found) < 5 else []
    assert [edge.is_active for edge in found] + rest == [True, False, True, False, True]
    assert bell.read() is True
    bell.close()


def test_an_active_low_button_with_a_pull_up_rests_inactive(kernel, lines):
    chip = kernel.chip()
    bell = lines.open_input("GPIO17", bias=Bias.PULL_UP, active_low=True)
    assert (bell.read(), chip.line("GPIO17").level) == (False, 1)
    chip.line("GPIO17").drive(0)
    assert edges_of(bell, 1) == [True]
    bell.close()


@pytest.mark.parametrize(
    ("bias", "asked"),
    [
        (Bias.AS_IS, 0),
        (Bias.PULL_UP, PULL_UP),
        (Bias.PULL_DOWN, PULL_DOWN),
        (Bias.NONE, NO_BIAS),
    ],
)
def test_the_kernel_is_asked_for_the_bias_and_for_no_other(kernel, lines, bias, asked):
    chip = kernel.chip()
    bell = lines.open_input("GPIO17", bias=bias, active_low=False)
    assert chip.line("GPIO17").flags & (PULL_UP | PULL_DOWN | NO_BIAS) == asked
    bell.close()


@pytest.mark.parametrize("active_low", [False, True])
@pytest.mark.parametrize("safe", [False, True])
def test_an_output_has_its_safe_level_from_the_first_moment_and_when_given_back(
    kernel, lines, safe, active_low
):
    line = kernel.chip().line("GPIO27")
    siren = lines.open_output("GPIO27", safe=safe, active_low=active_low)
    safe_level = int(safe is not active_low)
    assert line.levels == [safe_level]  # never anything before
    siren.set(not safe)
    siren.close()
    assert line.levels == [safe_level, 1 - safe_level, safe_level]
    assert not line.is_held


def test_a_line_that_somebody_holds_is_refused_with_their_name(kernel, lines):
    chip = kernel.chip()
    bell = lines.open_input("GPIO17", active_low=False)
    with pytest.raises(LineError, match="in use by `poleside`"):
        lines.open_input("GPIO17", active_low=False)
    bell.close()
    held = chip.line("GPIO17").request(0, b"", active=False)
    assert held >= 0
    with pytest.raises(LineError, match="in use by `the kernel`"):
        lines.open_output("GPIO17", safe=False, active_low=False)


def test_a_line_that_is_taken_between_the_look_and_the_request_is_refused(kernel, lines):
    line = kernel.chip().line("GPIO17")
    look, seen = kernel.ioctl, []

    def taken_meanwhile(*told):
        answer = look(*told)
        if told[1] & 0xFF == 5 and not seen:  # our look at the line is over
            seen.append(line.request(0, b"other", active=False))
        return answer

    kernel.ioctl = taken_meanwhile
    with pytest.raises(LineError, match=r"can't be had: .*busy"):
        lines.open_input("GPIO17", active_low=False)


def test_a_name_that_two_chips_have_must_be_told_by_its_chip(kernel, lines):
    kernel.chip("gpiochip0", "first")
    kernel.chip("gpiochip1", "second")
    with pytest.raises(LineError, match="more than once"):
        lines.open_input("GPIO17", active_low=False)
    lines.open_input("second:0", active_low=False).close()


@pytest.mark.parametrize("trouble", [errno.EACCES, errno.EIO, errno.ENODEV])
def test_a_chip_that_may_not_be_opened_has_no_lines_and_says_no_more(kernel, lines, trouble):
    kernel.chip().refuses = trouble
    assert lines.list() == ()
    with pytest.raises(LineError, match="is not there"):
        lines.open_input("GPIO17", active_low=False)


def test_a_chip_that_vanishes_is_told_by_each_of_its_lines_and_harms_no_other(kernel, lines):
    chip, other = kernel.chip("gpiochip1", "usb-relays"), kernel.chip(names=("DOOR",))
    bell = lines.open_input("GPIO17", active_low=False)
    siren = lines.open_output("GPIO27", safe=False, active_low=False)
    door = lines.open_input("DOOR", active_low=False)
    chip.vanish()
    for question in (bell.read, lambda: bell.wait(WAIT_S), lambda: siren.set(True)):
        with pytest.raises(LineError, match="no longer answers"):
            question()
    siren.close()  # nothing can be done for it any more, and that ends nobody
    bell.close()
    other.line("DOOR").drive(1)
    assert edges_of(door, 1) == [True]
    assert [line.name for line in lines.list()] == ["DOOR"]
    door.close()


def test_a_line_that_was_given_back_does_not_answer(kernel, lines):
    kernel.chip()
    bell = lines.open_input("GPIO17", active_low=False)
    siren = lines.open_output("GPIO27", safe=False, active_low=False)
    bell.close()
    siren.close()
    for question in (bell.read, lambda: bell.wait(0.0), lambda: siren.set(True)):
        with pytest.raises(LineError, match="no longer answers"):
            question()


BELL = InputSettings(input_id="bell", meaning=Meaning.BELL, line="GPIO17")  # to ground, pulled up
SIREN = OutputSettings(output_id="siren", purpose=Purpose.SIREN, line="GPIO27", max_on_s=60)


class Pole:
    """What the bell says is in `states`."""

    def __init__(self):
        self.states, self._news = [], asyncio.Event()

    async def signal(self, signal):
        self.states.append(signal.state)
        self._news.set()

    async def says(self, state):
        async with asyncio.timeout(PATIENCE_S):
            while state not in self.states:
                self._news.clear()
                await self._news.wait()


async def test_a_contact_whose_second_wire_is_not_there_holds_no_line_meanwhile(kernel, lines):
    chip, pole = kernel.chip(), Pole()
    bell = InputSettings(input_id="bell", meaning=Meaning.BELL, line="GPIO17", closed_line="NONE")
    inputs = Inputs(SystemClock(), lines, (bell,), pole.signal)
    running = asyncio.ensure_future(inputs.run())
    await pole.says(ContactState.UNKNOWN)
    await asyncio.sleep(0)  # it is told before the lines are given back
    assert not chip.line("GPIO17").is_held
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_press_on_a_chips_line_is_the_agents_bell_and_a_lost_chip_is_unknown(kernel, lines):
    chip, pole, clock = kernel.chip(), Pole(), SystemClock()
    inputs, outputs = Inputs(clock, lines, (BELL,), pole.signal), Outputs(clock, lines, (SIREN,))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(part.run()) for part in (inputs, outputs)]
        await pole.says(ContactState.IDLE)
        chip.line("GPIO17").drive(0)
        await pole.says(ContactState.ACTIVE)
        outputs.switch("siren", 60.0, on=True)
        assert chip.line("GPIO27").levels == [0, 1]
        chip.vanish()
        await pole.says(ContactState.UNKNOWN)
        for task in running:
            task.cancel()
