"""The fault matrix: whatever is done to broker, line, box or disk, lost 0 and duplicated 0.

The short form runs what no other test does, with few events; `pytest -m long -s` runs all with
thousands and prints the table. Power cuts are in `test_crash_replay.py`.
"""

import sys

import pytest

from tests.faults.fault_scenarios import (
    box_is_killed_again_and_again,
    broker_is_killed_twice,
    broker_is_stopped_twice,
    center_away_and_broker_killed,
    center_away_and_node_killed,
    center_away_and_queue_too_short,
    certificate_of_the_box_expires,
    certificate_of_the_broker_expires,
    connection_is_half_open,
    disk_is_full,
    fifteen_days_offline_with_twenty_kills,
    line_is_slow_and_cut,
    node_of_the_box_is_killed,
    node_of_the_center_is_killed,
    on_a_city_that_enrols,
    on_a_short_queue,
    on_mosquitto,
    on_nats,
    on_rabbitmq,
    on_tls,
)
from tests.faults.trial import HEADING

# paho drops the socket of a failed handshake unclosed
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")

LONG_ONLY = [  # the short form of these is in test_delivery_faults.py
    (on_mosquitto, broker_is_killed_twice),
    (on_mosquitto, connection_is_half_open),
    (on_mosquitto, center_away_and_broker_killed),
    (on_mosquitto, box_is_killed_again_and_again),
    (on_rabbitmq, broker_is_killed_twice),
]
FAULTS = [
    (on_mosquitto, broker_is_stopped_twice),
    (on_a_short_queue, center_away_and_queue_too_short),
    (on_nats, node_of_the_box_is_killed),
    (on_nats, node_of_the_center_is_killed),
    (on_nats, center_away_and_node_killed),
    (on_mosquitto, fifteen_days_offline_with_twenty_kills),
    (on_mosquitto, disk_is_full),
    (on_mosquitto, line_is_slow_and_cut),
    (on_tls, certificate_of_the_broker_expires),
    (on_a_city_that_enrols, certificate_of_the_box_expires),
]


def name_of(stage, scenario):
    return f"{scenario.__name__}, {stage.__name__}".replace("_", " ")


async def result_of(stage, scenario, folder, count):
    folder.mkdir()
    async with stage(folder, count) as trial:
        await scenario(trial)
        return trial.row(name_of(stage, scenario))


@pytest.mark.parametrize(("stage", "scenario"), FAULTS, ids=[name_of(*fault) for fault in FAULTS])
async def test_nothing_is_lost_and_nothing_doubled(stage, scenario, tmp_path):
    row = await result_of(stage, scenario, tmp_path / "trial", 300)
    assert row.said >= 100
    assert (row.lost, row.duplicated) == (0, 0)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_the_whole_matrix_with_thousands_of_events(tmp_path, capsys):
    lines, counted = [HEADING], []
    for number, (stage, scenario) in enumerate(LONG_ONLY + FAULTS):
        try:
            row = await result_of(stage, scenario, tmp_path / f"trial-{number}", 6000)
        except pytest.skip.Exception as reason:
            lines.append(f"{name_of(stage, scenario)}: skipped, {reason}")
            continue
        lines.append(str(row))
        counted.append(row)
    with capsys.disabled():
        sys.stdout.write("\n".join(["", *lines, ""]))
    assert all((row.lost, row.duplicated) == (0, 0) for row in counted)
