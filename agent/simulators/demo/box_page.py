"""Asks the box's own page how it is, as a person would look: the demo's only view into the box."""

import http.client
from typing import Any

import msgspec

TIMEOUT_S = 4.0


def box_state(host: str, port: int) -> dict[str, Any] | None:
    """Return the box's state as its page shows it; None when the page does not answer."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/api/state")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        return None
    try:
        state = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return state if isinstance(state, dict) else None


def is_all_well(state: dict[str, Any] | None, cameras: int) -> bool:
    """Return whether every camera is recorded and looked at, and the center is reached."""
    if state is None:
        return False
    well = [
        camera
        for camera in state["cameras"]
        if camera["state"] == "online" and camera["is_recording"] and camera["detector"] == "ready"
    ]
    processes = all(process["state"] == "running" for process in state["processes"])
    return len(well) == cameras and bool(state["link"]["is_connected"]) and processes
