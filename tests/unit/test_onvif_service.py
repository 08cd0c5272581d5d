"""Of `onvif-zeep`'s `ONVIFService` nothing is taken that sends twice or hides errors."""

import pytest
from onvif.client import ONVIFService

from agent.cameras.line import Service
from agent.cameras.onvif_service import onvif_service


class _OddAnswers:
    """Takes every envelope, and answers with what no reader was made for."""

    def __init__(self):
        self.sent = 0

    def post_xml(self, *_):
        self.sent += 1
        raise TypeError("an odd answer")


def test_an_odd_answer_sends_no_request_a_second_time_and_stays_what_it_is():
    transport = _OddAnswers()
    binding = f"{{{Service.DEVICE}}}DeviceBinding"
    service = onvif_service("devicemgmt.wsdl", binding, "http://127.0.0.1/", transport)
    assert isinstance(service, ONVIFService)
    with pytest.raises(TypeError, match="an odd answer"):
        service.SystemReboot()
    assert transport.sent == 1
