"""The one table of the page: every route, and who may use it. A route that isn't here isn't there.

Which camera's things one sees is decided in `narrowed`, for all routes alike.
"""

from dataclasses import dataclass
from typing import Final

from agent.local.access.people import Role

_TECHNICIAN = frozenset({Role.TECHNICIAN})
_SIGNED_IN = frozenset({Role.TECHNICIAN, Role.OPERATOR, Role.AUDITOR})
_CHECKS = frozenset({Role.TECHNICIAN, Role.AUDITOR})
_READS = frozenset(Role)
_LOOKS = frozenset(Role) - {Role.AUDITOR}  # an auditor reads what was done, and sees no people


@dataclass(frozen=True, slots=True)
class Way:
    """One route. `roles` None: everybody, signed in or not."""

    path: str
    name: str
    roles: frozenset[Role] | None
    method: str = "GET"


WAYS: Final = (
    Way("/", "page", _READS),
    Way("/parts", "parts", _READS),
    Way("/healthz", "healthz", None),
    Way("/metrics", "metrics", _READS),
    Way("/api/state", "state", _READS),
    Way("/api/cameras/{camera_id}/live", "live", _LOOKS),
    Way("/api/cameras/{camera_id}/live.jpg", "live_jpeg", _LOOKS),
    Way("/api/cameras/{camera_id}/timeline", "timeline", _READS),
    Way("/api/events", "events", _READS),
    Way("/api/events/{event_id}/picture.jpg", "picture", _LOOKS),
    Way("/login", "login_page", None),
    Way("/login", "login", None, "POST"),
    Way("/claim", "claim_page", None),
    Way("/claim", "claim", None, "POST"),
    Way("/account", "account", _SIGNED_IN),
    Way("/logout", "logout", _SIGNED_IN, "POST"),
    Way("/people", "people", _TECHNICIAN),
    Way("/people", "put_person", _TECHNICIAN, "POST"),
    Way("/people/remove", "remove_person", _TECHNICIAN, "POST"),
    Way("/setup", "setup", _TECHNICIAN),
    Way("/setup/parts", "setup_parts", _TECHNICIAN),
    Way("/setup/find", "find_cameras", _TECHNICIAN, "POST"),
    Way("/setup/find/rtsp", "find_rtsp", _TECHNICIAN, "POST"),
    Way("/setup/verify", "verify_camera", _TECHNICIAN, "POST"),
    Way("/setup/accept", "accept_camera", _TECHNICIAN, "POST"),
    Way("/setup/cameras/{camera_id}", "setup_camera", _TECHNICIAN),
    Way("/setup/cameras/{camera_id}/rules", "rules", _TECHNICIAN),
    Way("/setup/cameras/{camera_id}/rules", "put_rule", _TECHNICIAN, "POST"),
    Way("/setup/cameras/{camera_id}/rules/remove", "remove_rule", _TECHNICIAN, "POST"),
    Way("/setup/cameras/{camera_id}/aim", "aim_page", _TECHNICIAN),
    Way("/setup/cameras/{camera_id}/aim/look", "look_aim", _TECHNICIAN),
    Way("/setup/cameras/{camera_id}/aim/begin", "begin_aim", _TECHNICIAN, "POST"),
    Way("/setup/cameras/{camera_id}/aim/end", "end_aim", _TECHNICIAN, "POST"),
    Way("/setup/cameras/{camera_id}/masks", "masks", _TECHNICIAN),
    Way("/setup/cameras/{camera_id}/masks", "put_mask", _TECHNICIAN, "POST"),
    Way("/setup/cameras/{camera_id}/masks/remove", "remove_mask", _TECHNICIAN, "POST"),
    Way("/setup/cameras/{camera_id}/landmarks", "marks_page", _TECHNICIAN),
    Way("/setup/cameras/{camera_id}/landmarks/fit", "marks", _TECHNICIAN),
    Way("/setup/cameras/{camera_id}/landmarks/stand", "put_stand", _TECHNICIAN, "POST"),
    Way("/setup/cameras/{camera_id}/landmarks", "put_mark", _TECHNICIAN, "POST"),
    Way("/setup/cameras/{camera_id}/landmarks/remove", "remove_mark", _TECHNICIAN, "POST"),
    Way("/setup/cameras/{camera_id}/turn", "turn", _TECHNICIAN, "POST"),
    Way("/setup/tests", "tests", _TECHNICIAN),
    Way("/setup/tests/begin", "begin_test", _TECHNICIAN, "POST"),
    Way("/setup/tests/end", "end_test", _TECHNICIAN, "POST"),
    Way("/setup/code", "send_code", _TECHNICIAN, "POST"),
    Way("/setup/code/check", "check_code", _TECHNICIAN, "POST"),
    Way("/setup/center", "center", _TECHNICIAN),
    Way("/setup/center", "put_center", _TECHNICIAN, "POST"),
    Way("/setup/network", "network_page", _TECHNICIAN),
    Way("/setup/network/state", "network", _TECHNICIAN),
    Way("/setup/network", "put_network", _TECHNICIAN, "POST"),
    Way("/setup/network/confirm", "confirm_network", _TECHNICIAN, "POST"),
    Way("/setup/confirm", "confirm", _TECHNICIAN, "POST"),
    Way("/service", "service", _TECHNICIAN),
    Way("/service/bundle", "make_bundle", _TECHNICIAN, "POST"),
    Way("/service/report", "make_report", _TECHNICIAN, "POST"),
    Way("/service/report/send", "send_report", _TECHNICIAN, "POST"),
    Way("/service/usb", "export_usb", _TECHNICIAN, "POST"),
    Way("/service/cameras/{camera_id}/confirm", "confirm_camera", _TECHNICIAN, "POST"),
    Way("/service/cameras/{camera_id}/swap", "swap_camera", _TECHNICIAN, "POST"),
    Way("/service/place", "take_place", _TECHNICIAN, "POST"),
    Way("/service/update/install", "install_update", _TECHNICIAN, "POST"),
    Way("/service/update/cancel", "cancel_update", _TECHNICIAN, "POST"),
    Way("/service/disk", "take_disk", _TECHNICIAN, "POST"),
    Way("/service/identify", "identify", _TECHNICIAN, "POST"),
    Way("/service/shell", "put_shell", _TECHNICIAN, "POST"),
    Way("/service/shell/end", "end_shell", _TECHNICIAN, "POST"),
    Way("/service/restart", "restart", _TECHNICIAN, "POST"),
    Way("/audit", "audit", _CHECKS),
)
