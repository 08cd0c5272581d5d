"""A board is recognised and read from its own tree; what it can't tell stays unknown."""

from pathlib import Path

import pytest

from hardware.interface import (
    AcceleratorKind,
    BoardKind,
    CsiSensor,
    FanState,
    ProcessorState,
    Rail,
    StorageState,
    Supply,
    SupplyKind,
    Temperature,
    WatchdogState,
    Wear,
)
from hardware.pick import pick_board
from tests.unit.trees.plant import TREES, plant
from tests.unit.trees.record import as_toml, recorded


@pytest.mark.parametrize(
    ("tree", "kind", "model"),
    [
        ("raspberry_pi_4_hot", BoardKind.RASPBERRY_PI, "Raspberry Pi 4 Model B Rev 1.4"),
        ("raspberry_pi_5", BoardKind.RASPBERRY_PI, "Raspberry Pi 5 Model B Rev 1.0"),
        ("raspberry_pi_cm4", BoardKind.RASPBERRY_PI, "Raspberry Pi Compute Module 4 Rev 1.1"),
        ("raspberry_pi_3_debian", BoardKind.RASPBERRY_PI, "Raspberry Pi 3 Model B"),
        ("jetson_orin", BoardKind.JETSON, "NVIDIA Jetson Orin Nano Developer Kit"),
        ("x86_pc", BoardKind.GENERIC_LINUX, "Example Box 1000"),
    ],
)
def test_the_device_tree_tells_the_board(tree, kind, model, tmp_path):
    identity = pick_board(plant(tree, tmp_path)).identity
    assert (identity.kind, identity.model, identity.is_simulated) == (kind, model, False)


def test_an_empty_root_is_a_board_that_knows_nothing(tmp_path):
    board = pick_board(tmp_path)
    assert board.identity.kind is BoardKind.GENERIC_LINUX
    assert board.identity.model is None
    assert board.thermometers.read() == ()
    assert board.power.read().under_voltage is None
    assert board.storage.read(Path("/data")) == StorageState()
    assert not board.clock_chip.read().is_present
    assert board.processors.read() == ProcessorState()
    for part in (
        board.fans,
        board.watchdogs,
        board.supplies,
        board.accelerators,
        board.csi_sensors,
    ):
        assert part.read() == ()
    assert board.lines.list() == ()


def test_the_pi_tells_present_and_past_under_voltage_apart(tmp_path):
    root = plant("raspberry_pi_4_hot", tmp_path)
    power = pick_board(root).power
    now = power.read()
    assert (now.under_voltage, now.under_voltage_before) == (True, True)
    assert (now.throttled, now.throttled_before) == (True, True)
    assert (now.frequency_capped, now.soft_limited) == (False, False)

    (root / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("10000\n")
    later = power.read()
    assert (later.under_voltage, later.under_voltage_before) == (False, True)
    assert later.throttled is False


def test_without_the_firmware_file_the_voltage_sensor_answers(tmp_path):
    root = plant("raspberry_pi_4_hot", tmp_path)
    (root / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    power = pick_board(root).power.read()
    assert power.under_voltage is True
    assert power.throttled is None


def test_a_pi_5_is_read_where_its_kernel_keeps_the_firmware(tmp_path):
    board = pick_board(plant("raspberry_pi_5", tmp_path))
    power = board.power.read()
    assert power.source == "firmware get_throttled"
    assert (power.under_voltage, power.throttled, power.soft_limited) == (False, False, True)
    assert (power.throttled_before, power.under_voltage_before) == (False, False)
    assert board.fans.read() == (FanState("pwmfan/1", 2980, 49),)
    (zone,) = board.thermometers.read()
    assert (zone.celsius, zone.critical_c) == (61.7, 110.0)
    chip = board.clock_chip.read()
    assert (chip.is_present, chip.epoch_s) == (True, 17)  # no battery: it began anew at 1970
    storage = board.storage.read(Path("/data"))
    assert (storage.device, storage.model) == ("nvme0n1", "EXAMPLE NVME 256GB")
    assert (storage.life_used_pct, storage.is_failing) == (7, False)
    assert storage.written_bytes == 1638400 * 512


def test_a_compute_module_tells_its_emmc_its_clock_and_its_fan(tmp_path):
    board = pick_board(plant("raspberry_pi_cm4", tmp_path))
    power = board.power.read()
    assert not any((power.under_voltage, power.under_voltage_before, power.throttled))
    storage = board.storage.read(Path("/data"))
    assert (storage.device, storage.model) == ("mmcblk0", "BJTD4R")
    assert (storage.life_used_pct, storage.wear) == (20, Wear.NORMAL)
    assert board.clock_chip.read().name == "rtc-pcf85063 10-0051"
    assert board.fans.read() == (FanState("emc2301/1", 3270, 40),)
    (watchdog,) = board.watchdogs.read()
    assert (watchdog.is_armed, watchdog.caused_last_reset) == (True, None)


def test_a_ribbon_camera_is_found_and_its_lens_is_none(tmp_path):
    sensors = pick_board(plant("raspberry_pi_5", tmp_path)).csi_sensors
    assert sensors.read() == (CsiSensor("imx708", "10-001a"),)


def test_debians_kernel_on_a_pi_leaves_power_unknown(tmp_path):
    board = pick_board(plant("raspberry_pi_3_debian", tmp_path))
    assert board.power.read().under_voltage is None
    assert not board.clock_chip.read().is_present
    (zone,) = board.thermometers.read()
    assert (zone.name, zone.critical_c) == ("cpu-thermal", 90.0)
    assert zone.celsius == pytest.approx(25.178)


def test_debians_kernel_with_our_module_tells_a_pi_5_s_supply_by_the_driver(tmp_path):
    """There the firmware's device lies beside `soc`, and its driver alone has one name."""
    root = plant("raspberry_pi_3_debian", tmp_path)
    device = root / "sys/devices/platform/firmware:rpi-firmware"
    device.mkdir(parents=True)
    (device / "get_throttled").write_text("50001\n")
    driver = root / "sys/bus/platform/drivers/raspberrypi-firmware"
    driver.mkdir(parents=True)
    (driver / device.name).symlink_to(device)
    power = pick_board(root).power.read()
    assert (power.under_voltage, power.throttled, power.throttled_before) == (True, False, True)


def test_a_sleeping_sensor_is_unknown_not_minus_256_degrees(tmp_path):
    board = pick_board(plant("jetson_orin", tmp_path))
    readings = {reading.name: reading.celsius for reading in board.thermometers.read()}
    assert readings == {"cpu-thermal": 51.25, "gpu-thermal": None, "tj-thermal": 52.0}


def test_a_jetson_reads_its_rails_and_claims_no_more(tmp_path):
    board = pick_board(plant("jetson_orin", tmp_path))
    power = board.power.read()
    assert power.rails == (
        Rail("VDD_IN", 5.048, 1.18, over_current=False),
        Rail("VDD_CPU_GPU_CV", 5.04, None, over_current=None),
    )
    assert power.under_voltage is None
    assert (power.throttled, power.throttled_before) == (False, True)  # over-current, earlier
    assert power.mode == "7W"
    assert board.clock_chip.read().name == "nvvrs-pseq-rtc"
    assert board.fans.read() == (FanState("pwmfan/1", None, 50), FanState("pwm_tach", 2310))
    assert [chip.kind for chip in board.accelerators.read()] == [AcceleratorKind.NVIDIA_GPU]


def test_a_jetson_tells_its_clocks_and_how_busy_its_gpu_is(tmp_path):
    state = pick_board(plant("jetson_orin", tmp_path)).processors.read()
    assert (state.cpu_mhz, state.cpu_max_mhz) == (1114, 1510)
    assert (state.gpu_load_pct, state.gpu_mhz, state.gpu_max_mhz) == (68.2, 306, 625)
    assert state.memory_mhz is None  # on an Orin that file is for root alone


@pytest.mark.parametrize(
    "place",
    [
        "sys/devices/platform/17000000.gpu",
        "sys/devices/platform/17000000.ga10b",
        "sys/devices/17000000.gv11b",
        "sys/devices/17000000.gp10b",
        "sys/devices/gpu.0",
    ],
)
def test_a_jetsons_gpu_is_found_where_older_kernels_keep_it(place, tmp_path):
    root = plant("jetson_orin", tmp_path)
    (root / place).parent.mkdir(exist_ok=True)
    (root / "sys/devices/platform/bus@0/17000000.gpu").rename(root / place)
    board = pick_board(root)
    assert board.processors.read().gpu_load_pct == 68.2
    assert [chip.kind for chip in board.accelerators.read()] == [AcceleratorKind.NVIDIA_GPU]


@pytest.mark.parametrize("word", ["", "busy\n", "1001\n", "-1\n"])
def test_a_gpu_that_sleeps_or_talks_nonsense_has_an_unknown_load(word, tmp_path):
    root = plant("jetson_orin", tmp_path)
    (root / "sys/devices/platform/bus@0/17000000.gpu/load").write_text(word)
    state = pick_board(root).processors.read()
    assert (state.gpu_load_pct, state.gpu_mhz) == (None, 306)


def test_a_board_that_shows_no_gpu_claims_no_load(tmp_path):
    state = pick_board(plant("raspberry_pi_cm4", tmp_path)).processors.read()
    assert state == ProcessorState(cpu_mhz=600, cpu_max_mhz=1500)


def test_the_memorys_clock_is_told_where_it_may_be_read(tmp_path):
    root = plant("jetson_orin", tmp_path)
    clock = root / "sys/class/devfreq/bwmgr/cur_freq"
    clock.parent.mkdir(parents=True)
    clock.write_text("2133000000\n")
    assert pick_board(root).processors.read().memory_mhz == 2133


def test_the_wear_of_the_medium_under_the_data_is_read(tmp_path):
    storage = pick_board(plant("raspberry_pi_4_hot", tmp_path)).storage
    state = storage.read(Path("/data/cameras"))
    assert (state.device, state.model, state.filesystem) == ("mmcblk0", "DG4032", "ext4")
    assert (state.life_used_pct, state.wear, state.is_failing) == (40, Wear.WARNING, None)
    assert state.written_bytes == 2048 * 512
    assert state.is_read_only is False
    assert storage.read(Path("/etc")).is_read_only is True
    assert storage.read(Path("/run/poleside")).is_in_memory is True


def test_a_disk_turned_read_only_after_an_error_is_seen(tmp_path):
    storage = pick_board(plant("x86_pc", tmp_path)).storage
    state = storage.read(Path("/mnt/video disk/cameras"))
    assert (state.device, state.is_read_only) == ("sda", True)
    assert (state.life_used_pct, state.is_failing) == (93, True)  # as its SMART report says
    assert storage.read(Path("/mnt/elsewhere")).is_read_only is False


@pytest.mark.parametrize("uptime", ["90000.00 1.0", "300000.00 1.0", "soon", ""])
def test_a_smart_report_of_another_boot_or_of_days_ago_is_none(uptime, tmp_path):
    root = plant("x86_pc", tmp_path)
    (root / "proc/uptime").write_text(uptime)
    state = pick_board(root).storage.read(Path("/mnt/video disk"))
    assert (state.life_used_pct, state.is_failing) == (None, None)


@pytest.mark.parametrize(
    "report",
    [
        "",
        "{",
        "[]",
        '{"uptime_s": 1e5, "smart_status": 1}',
        '{"uptime_s": 1e5, "smart_status": {}}',
    ],
)
def test_a_smart_report_that_says_nothing_leaves_the_disk_unknown(report, tmp_path):
    root = plant("x86_pc", tmp_path)
    (root / "run/poleside-smart/sda.json").write_text(report)
    state = pick_board(root).storage.read(Path("/mnt/video disk"))
    assert (state.life_used_pct, state.is_failing) == (None, None)


def test_a_pc_tells_its_supplies_watchdog_fan_and_stick(tmp_path):
    board = pick_board(plant("x86_pc", tmp_path))
    assert board.supplies.read() == (
        Supply("AC", SupplyKind.MAINS, is_online=False),
        Supply("ups0", SupplyKind.UPS, charge_pct=61, is_discharging=True),
    )
    assert board.watchdogs.read() == (
        WatchdogState("iTCO_wdt", is_armed=False, timeout_s=30, caused_last_reset=True),
    )
    assert board.fans.read() == (FanState("nct6775/1", 0, 100),)  # it is told to turn and doesn't
    assert [chip.kind for chip in board.accelerators.read()] == [AcceleratorKind.EDGE_TPU_USB]
    power = board.power.read()
    assert (power.throttled, power.throttled_before) == (True, True)
    assert power.under_voltage is None


def test_the_battery_of_a_mouse_is_no_supply(tmp_path):
    root = plant("x86_pc", tmp_path)
    mouse = root / "sys/class/power_supply/hidpp_battery_0"
    mouse.mkdir()
    for name, word in (("type", "Battery"), ("scope", "Device"), ("status", "Discharging")):
        (mouse / name).write_text(f"{word}\n")
    assert [supply.name for supply in pick_board(root).supplies.read()] == ["AC", "ups0"]


def test_a_pcs_processor_without_a_thermal_zone_is_read_from_its_sensor_chip(tmp_path):
    root = plant("x86_pc", tmp_path)
    thermometers = pick_board(root).thermometers
    assert thermometers.read() == (Temperature("k10temp/Tctl", 61.375),)
    (root / "sys/class/hwmon/hwmon1/name").write_text("coretemp\n")
    (root / "sys/class/hwmon/hwmon1/temp1_crit").write_text("100000\n")
    assert thermometers.read() == (Temperature("coretemp/Tctl", 61.375, 100.0),)


def test_the_pi_tells_its_fan_and_the_seconds_its_watchdog_has_left(tmp_path):
    board = pick_board(plant("raspberry_pi_4_hot", tmp_path))
    assert board.fans.read() == (FanState("pwmfan/1", 4120, 25),)
    (watchdog,) = board.watchdogs.read()
    assert (watchdog.is_armed, watchdog.timeout_s, watchdog.time_left_s) == (True, 15, 11)
    assert watchdog.caused_last_reset is None


@pytest.mark.parametrize(
    ("status", "options", "told"),
    [
        ("0", "0x81a0", False),
        ("32", "0x81a0", True),
        ("32", None, True),
        ("0", "0x8180", None),
        ("0", None, None),
        (None, "0x81a0", None),
    ],
)
def test_a_watchdog_that_cannot_tell_who_reset_the_board_says_neither(
    status, options, told, tmp_path
):
    root = plant("raspberry_pi_cm4", tmp_path)
    for name, text in (("bootstatus", status), ("options", options)):
        file = root / "sys/class/watchdog/watchdog0" / name
        file.unlink()
        if text is not None:
            file.write_text(f"{text}\n")
    (watchdog,) = pick_board(root).watchdogs.read()
    assert watchdog.caused_last_reset is told


@pytest.mark.parametrize("noise", ["", "zz\n", "\x00\x00", "999999999999999999\n"])
def test_nonsense_in_a_sensor_file_is_unknown(noise, tmp_path):
    root = plant("raspberry_pi_4_hot", tmp_path)
    (root / "sys/class/thermal/thermal_zone0/temp").write_text(noise)
    assert pick_board(root).thermometers.read()[0].celsius is None


@pytest.mark.parametrize("noise", ["ffffffff\n", "20\n", "-1\n"])
def test_bits_that_the_firmware_does_not_have_are_no_answer(noise, tmp_path):
    root = plant("raspberry_pi_4_hot", tmp_path)
    (root / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text(noise)
    assert pick_board(root).power.read().source == "hwmon rpi_volt"


@pytest.mark.parametrize("noise", ["-1\n", "65536000\n", "?"])
def test_a_fan_that_turns_as_none_can_is_unknown(noise, tmp_path):
    root = plant("raspberry_pi_cm4", tmp_path)
    (root / "sys/class/hwmon/hwmon2/fan1_input").write_text(noise)
    assert pick_board(root).fans.read() == (FanState("emc2301/1", None, 40),)


def test_the_simulated_board_says_it_is_one():
    board = pick_board(kind="simulated")
    assert board.identity.is_simulated
    assert "Simulated" in (board.identity.model or "")
    assert board.storage.read(Path("/")).filesystem is not None


def test_a_board_can_not_be_claimed_by_hand(tmp_path):
    with pytest.raises(ValueError, match="auto"):
        pick_board(tmp_path, kind="raspberry-pi")


@pytest.mark.parametrize("tree", sorted(tree.stem for tree in TREES.glob("*.toml")))
def test_a_recorded_board_reads_like_the_board_itself(tree, tmp_path):
    folder = Path("/data")
    root = plant(tree, tmp_path / "board")
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/mountinfo").touch()
    (tmp_path / "copy.toml").write_text(as_toml(*recorded(folder, root)))
    original, copy = pick_board(root), pick_board(plant("copy", tmp_path / "copy", tmp_path))
    assert copy.identity.model == original.identity.model
    assert copy.thermometers.read() == original.thermometers.read()
    assert copy.power.read() == original.power.read()
    assert copy.storage.read(folder) == original.storage.read(folder)
    for part in ("fans", "watchdogs", "supplies", "processors", "accelerators", "csi_sensors"):
        assert getattr(copy, part).read() == getattr(original, part).read()
