"""What a simulated ONVIF camera is, and how it may misbehave."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from agent.simulators.camera.onvif_http import HttpReply


class SimulatedPlace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a simulated camera hangs, how far its pole leans, and where its pan zero looks.

    The head turns 180 degrees to either side and 90 up and down. The ground around lies
    `above_ground_m` lower than the lens.
    """

    lat: float
    lon: float
    height_m: float = 5.0
    above_ground_m: float = 5.0
    yaw_deg: float = 0.0
    lean_east_deg: float = 0.0
    lean_north_deg: float = 0.0
    wide_deg: float = 60.0
    tele_deg: float = 3.0


Maker = Literal["onvif", "tp-link", "reolink", "axis", "hikvision"]
# With all slots taken: a fault; the oldest ends; the oldest goes on and hears nothing; the new one
# hears nothing.
SlotLimit = Literal["fault", "evict", "deafen", "silent"]


class OnvifDeviceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One simulated camera. Port 0: any free one. An empty user name lets everyone in.

    `tls_files`: certificate and key (PEM) to be an https:// camera. `discovery_port` 0: it does
    not answer WS-Discovery; 3702 is the real one.
    """

    host: str = "127.0.0.1"
    port: int = 0
    name: str = "Simulated camera"
    maker: str = "Poleside"
    serial: str = "SIM-0001"
    mac: str = "02:00:5e:00:00:01"
    username: str = "admin"
    password: str = ""
    realm: str = "simulated-camera"
    rtsp_main_url: str = "rtsp://127.0.0.1:8554/main"
    rtsp_sub_url: str = "rtsp://127.0.0.1:8554/sub"
    main_size_px: tuple[int, int] = (1920, 1080)
    sub_size_px: tuple[int, int] = (640, 360)
    fps: int = 15
    ptz: bool = True
    media2: bool = False
    max_pull_points: int = 4
    tells_echoes: bool = False  # events of what was ordered: an encoder set, a preset reached
    tls_files: tuple[str, str] | None = None
    discovery_port: int = 0
    place: SimulatedPlace | None = None  # it knows the map: GeoMove


class OnvifFaults(Struct, kw_only=True):
    """How the camera misbehaves just now; all may be switched while it runs.

    Of answers in general, of its login and clock, of settings, of moves, of events.
    """

    silent: bool = False  # takes the connection and says nothing
    drips: bool = False
    huge_body: bool = False
    html_401: bool = False
    empty_200: bool = False
    fault_status: int = 0  # a SOAP fault for everything, with this HTTP status
    undeclared_prefix: bool = False  # uses `tt:` without saying what it stands for
    unquoted_attribute: bool = False
    omits_optional: bool = False  # leaves out what the schema lets it leave out
    foreign_xaddr: str = ""  # "http://10.9.9.9:81": reports itself there
    slow_s: dict[str, float] = {}  # operation: pause before its answer
    spoils: dict[str, Callable[[HttpReply], HttpReply]] = {}  # operation: what its answer becomes

    clock_offset_s: float = 0.0
    year: str = ""  # said in place of its own, such as one no calendar has
    hides_clock: bool = False  # no time without a login, and no HTTP `Date`
    locks_after: int = 0  # so many refused logins, then none is taken any more
    refuses_digest: bool = False  # asks for one, and takes a token only
    nonce_once: bool = False  # a digest nonce serves for one request only
    snapshot_login: Literal["digest", "basic", "none"] = "digest"
    snapshot_is_html: bool = False

    lists_jpeg: bool = False  # among its profiles, the largest and first
    smart_codec: bool = False  # its encoders leave frames out, as their names say
    sends_audio: bool = False

    ignores_writes: bool = False  # takes every Set…, and leaves all as it was
    half_takes_password: bool = False  # a new password works for nothing, and the old one does

    ignores_move_timeout: bool = False
    knows_no_stop: bool = False
    tells_no_position: bool = False
    presets: int = 2
    in_degrees: bool = False  # pan 0..360 and tilt -90..90 instead of -1..1
    highest_tilt: float = 1.0  # of a dome, which can't look up
    has_no_home: bool = False
    only_continuous: bool = False  # no absolute and no relative moves
    min_is_max: bool = False  # ranges without width
    relays_only_by: Literal["", "device", "device-io"] = ""

    slot_limit: SlotLimit = "fault"
    other_port: bool = False  # each subscription is at a port of its own
    knows_no_pull_point: bool = False
    pull_is_deaf: bool = False  # pull points answer and tell nothing; pushing works
    expires_at_once: bool = False
    fails_renew: bool = False
    refuses_filter: bool = False
    never_ends: bool = False  # motion begins and no end is told
    dialect: Maker = "onvif"  # how topics are written
    storm_per_s: float = 0.0
