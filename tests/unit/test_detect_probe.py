"""The probe measures every engine in a process of its own, and says why one can't be used."""

import msgspec
from click.testing import CliRunner

from agent.detect.probe import Trial, probe, ranked
from agent.local.cli.box import box
from agent.messages.engines import Engine

CPU, EDGETPU = Engine.TFLITE_CPU, Engine.EDGE_TPU


def test_an_engine_is_measured_on_this_box():
    (trial,) = probe([CPU], [1])
    assert trial.why == ""
    assert trial.ms > 0
    assert trial.cpu_ms > 0
    assert trial.name


def test_a_chip_without_its_runtime_is_no_figure_but_a_reason():
    (trial,) = probe([EDGETPU], [1])
    assert trial.ms is None
    assert "libedgetpu" in trial.why


def test_a_trial_that_hangs_or_crashes_is_told_and_the_next_goes_on(tmp_path):
    (hanging,) = probe([CPU], [1], limit_s=0.01)
    assert "hangs" in hanging.why
    (without_model,) = probe([CPU], [1], model=tmp_path)
    assert "manifest" in without_model.why


def test_the_best_is_what_costs_the_processor_least():
    one = Trial(engine=CPU, threads=1, ms=20.0, cpu_ms=20.0)
    two = Trial(engine=CPU, threads=2, ms=12.0, cpu_ms=24.0)
    chip = Trial(engine=EDGETPU, threads=1, ms=9.0, cpu_ms=2.0)
    failed = Trial(engine=EDGETPU, threads=1, why="gone")
    assert ranked([failed, two, one]) == [one, two]
    assert ranked([one, two, chip]) == [chip, one, two]
    assert ranked([failed]) == []


def test_the_command_prints_figures_for_a_program():
    result = CliRunner().invoke(box, ["accelerators", "--json"])
    assert result.exit_code == 0, result.output
    report = msgspec.json.decode(result.output)
    assert report["best"]["engine"] == CPU
    assert all("ms" in trial for trial in report["trials"])
