"""What tests of several kinds share: the footage of the demo, prepared once and kept."""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from pytest_timeout import _get_item_settings

from agent.simulators.footage import prepare

settings.register_profile("poleside", deadline=None)  # no test goes by how long the machine took
settings.load_profile("poleside")

# Film in real time beside a truth: it needs the processor to itself. A camera that answers searches
# for cameras: other boxes would hear it.
ALONE = {
    "test_agent_on_footage",
    "test_scripted_install",
    "test_setup_of_running_box",
    "test_wizard_run",
}

# Whole boxes with cameras of their own: three side by side are all that two processors carry.
WHOLE_BOXES = {
    "test_bad_input",
    "test_bell_call",
    "test_bench_runs",
    "test_board_faults",
    "test_box_page_shown",
    "test_box_swap",
    "test_box_swap_at_page",
    "test_buffer_cli",
    "test_camera_stream_faults",
    "test_camera_zoo",
    "test_camera_zoo_fuzz",
    "test_camera_zoo_login_and_leaks",
    "test_camera_zoo_recorded",
    "test_camera_zoo_sound",
    "test_camera_zoo_tls",
    "test_camera_zoo_worker",
    "test_center_page_shown",
    "test_core_killed_moving",
    "test_crash_disk",
    "test_demo_page_live",
    "test_demo_plugs",
    "test_demo_report",
    "test_evidence_of_box",
    "test_disk_read_only",
    "test_disk_without_inodes",
    "test_event_only_box",
    "test_fault_matrix",
    "test_fleet",
    "test_foreign_disk_at_page",
    "test_not_recorded",
    "test_grant_to_relay",
    "test_handover",
    "test_hung_camera",
    "test_index_killed",
    "test_run_by_hand",
    "test_scene_orders",
    "test_secrets_stay",
    "test_sessions_restart",
    "test_stranger_sees_no_login",
    "test_supervisor",
    "test_update_at_page",
    "test_walk_past_four_cameras",
    "test_wrong_disk",
    "test_wrong_password_once",
}

_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "the tests of one stage alone (of all without a mark: many); others are not even read"
    parser.addoption("--stage", choices=("many", "whole_box", "alone"), help=words)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of other stages: each process of a stage would read all of them."""
    stage = config.getoption("--stage")
    if stage is None or not collection_path.match("test_*.py"):
        return None
    return True if _stage_of(collection_path) != stage else None


def _stage_of(file: Path) -> str:
    if file.stem in ALONE:
        return "alone"
    return "whole_box" if file.stem in WHOLE_BOXES else "many"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        stage = _stage_of(item.path)
        if stage != "many":
            item.add_marker(stage)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give a second try a time of its own: pytest-timeout gives one to all tries together."""
    if getattr(item, "execution_count", 1) > 1:
        hooks = item.config.pluginmanager.hook
        hooks.pytest_timeout_cancel_timer(item=item)
        hooks.pytest_timeout_set_timer(item=item, settings=_get_item_settings(item))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """After a failure end what a module's tests share: a second try finds it as the first did."""
    if item.stash.get(_FAILED, False):
        item.stash[_FAILED] = False
        item.session._setupstate.teardown_exact(item.session)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when != "teardown" and report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(autouse=True, scope="session")
def run_folders() -> Iterator[None]:
    """Let boxes keep their sockets in memory where all of it goes when the session is over."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="run-", dir=memory)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = folder
    yield
    shutil.rmtree(folder, ignore_errors=True)
    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = before


@pytest.fixture(autouse=True)
def logs_as_found() -> Iterator[None]:
    """Undo what a test sets up for logs: its stderr is closed when it is over."""
    handlers, before = list(logging.root.handlers), structlog.get_config()
    yield
    structlog.configure(**before)
    logging.root.handlers[:] = handlers


@pytest.fixture(scope="session")
def demo_cache(request: pytest.FixtureRequest) -> Path:
    """Return a cache folder (XDG_CACHE_HOME) that holds the drawn footage; needs no network."""
    cache = request.config.cache.mkdir("demo").absolute()
    with (cache / "drawing").open("w") as turn:  # each process of a run would draw it again
        fcntl.flock(turn, fcntl.LOCK_EX)
        prepare(cache / "poleside" / "footage", lambda _: None, "drawn")
    return cache


@pytest.fixture(scope="session")
def drawn_loops(demo_cache: Path) -> tuple[Path, Path]:
    """Return the main and sub loop of the drawn fixed camera, which somebody walks past."""
    fixed = prepare(demo_cache / "poleside" / "footage", lambda _: None, "drawn").fixed
    return Path(fixed.main["fixed"]), Path(fixed.sub["fixed"])
