"""What the page's set-up works with, joined from the core's parts."""

from collections.abc import Callable

from agent.app.run_dir import image_run
from agent.app.setup_cameras import SetupCameras
from agent.app.sight import Sight
from agent.app.voice import Voice
from agent.core.clock import Clock
from agent.local.setup.changes import SetupChanges
from agent.local.setup.finder import CameraFinder, host_port
from agent.local.setup.network import NetworkDesk, told_by
from agent.local.setup.pages import SetupTools
from agent.local.setup.read_back import ReadBack
from agent.settings.load import data_dir_of
from agent.settings.model import Settings


def setup_tools(
    sight: Sight,
    voice: Voice,
    read_back: ReadBack,
    settings: Callable[[], Settings],
    clock: Clock,
) -> SetupTools:
    """Return them; `settings` are those in effect when it is asked."""
    now = settings()
    return SetupTools(
        CameraFinder(clock, lambda: _addresses(settings())),
        SetupChanges(voice.desired),
        read_back,
        SetupCameras(sight.hub, sight.desk, voice.commands, voice.leases, voice.aimer, now, clock),
        _network(now, clock),
    )


def _addresses(settings: Settings) -> dict[str, str]:
    """Return which camera of the settings answers where, over ONVIF and RTSP."""
    return {
        host_port(url): camera.camera_id
        for camera in settings.cameras
        for url in (camera.onvif_url, camera.main_url)
        if url.startswith(("http", "rtsp"))
    }


def _network(settings: Settings, clock: Clock) -> NetworkDesk:
    return NetworkDesk(data_dir_of(settings) / "network", told_by(image_run(settings)), clock)
