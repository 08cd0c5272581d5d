"""Addresses a camera reports, made reachable: behind NAT or a moved port they are often wrong."""

from urllib.parse import SplitResult, urlsplit, urlunsplit

from agent.cameras.port import CameraBadResponse

DEVICE_PATH = "/onvif/device_service"  # where ONVIF Core puts it when nobody says otherwise


def device_service_url(given: str) -> str:
    """Return the address to start from: no login in it, and the usual path when none is given."""
    parts = urlsplit(given.strip() if "://" in given else f"http://{given.strip()}")
    path = parts.path if parts.path.strip("/") else DEVICE_PATH
    return urlunsplit((parts.scheme, _host_and_port(parts.netloc), path, parts.query, ""))


def repair_service_url(reported: str, reached: str) -> str:
    """Return `reported` with scheme, host and port of `reached`, the address that did answer."""
    (said, _), known = _said(reported), urlsplit(reached)
    return urlunsplit(
        (known.scheme, _host_and_port(known.netloc), said.path or "/", said.query, "")
    )


def repair_stream_url(reported: str, reached: str) -> str:
    """Return an RTSP address with the host of `reached`, its own port, and no user or password."""
    (said, port), known = _said(reported, with_port=True), urlsplit(reached)
    host = known.hostname or ""
    host = f"[{host}]" if ":" in host else host
    netloc = f"{host}:{port}" if port else host
    return urlunsplit((said.scheme, netloc, said.path, said.query, ""))


def _said(reported: str, *, with_port: bool = False) -> tuple[SplitResult, int | None]:
    """Take an address of the camera's apart. Raises `CameraBadResponse` when it is none."""
    try:
        parts = urlsplit(reported.strip())
        port = parts.port if with_port else None
    except ValueError as error:
        raise CameraBadResponse("the camera gives an address that is none") from error
    return parts, port


def _host_and_port(netloc: str) -> str:
    return netloc.rpartition("@")[2]
