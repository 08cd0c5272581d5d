"""Addresses a camera reports are made reachable and never carry a login."""

import pytest

from agent.cameras.address import device_service_url, repair_service_url, repair_stream_url


@pytest.mark.parametrize(
    ("reported", "reached", "repaired"),
    [
        ("http://10.0.0.5/onvif/ptz", "http://pole:8080/x", "http://pole:8080/onvif/ptz"),
        ("http://0.0.0.0:80/a?b=1&c", "https://1.2.3.4:443/", "https://1.2.3.4:443/a?b=1&c"),
        (" http://[::]/onvif/media\n", "http://[fe80::1]:81/d", "http://[fe80::1]:81/onvif/media"),
        ("/onvif/media", "http://pole/d", "http://pole/onvif/media"),
        ("http://a", "http://user:pw@pole:81/d", "http://pole:81/"),
    ],
)
def test_a_service_keeps_its_path_and_gets_the_host_that_answers(reported, reached, repaired):
    assert repair_service_url(reported, reached) == repaired


@pytest.mark.parametrize(
    ("reported", "reached", "repaired"),
    [
        ("rtsp://10.0.0.5:8554/s?x=1", "http://pole:8080/d", "rtsp://pole:8554/s?x=1"),
        ("rtsp://u:p@10.0.0.5/s", "http://pole/d", "rtsp://pole/s"),
        ("rtsp://10.0.0.5/s", "http://[fe80::1]:81/d", "rtsp://[fe80::1]/s"),
    ],
)
def test_a_stream_keeps_its_own_port_and_loses_the_login(reported, reached, repaired):
    assert repair_stream_url(reported, reached) == repaired


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("10.0.0.5:8080", "http://10.0.0.5:8080/onvif/device_service"),
        ("http://u:p@pole/", "http://pole/onvif/device_service"),
        (" https://pole/own/path?x=1 ", "https://pole/own/path?x=1"),
    ],
)
def test_a_technician_may_give_the_host_alone_and_a_login_is_never_kept(given, url):
    assert device_service_url(given) == url
