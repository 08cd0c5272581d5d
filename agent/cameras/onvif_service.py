"""`onvif-zeep`'s `ONVIFService`, over our shared WSDL documents, our transport and our login.

Its wrapper of each operation is left out: that one sends a request again when an answer is odd (one
odd answer to a move, two moves), and makes one error of all. Its own client, cache and token, which
read the WSDL anew for each camera and freeze a time stamp, are never made.
"""

import logging
from typing import Any

import zeep

from agent.cameras.wsdl_documents import LENIENT, document, file_of

_root = logging.getLogger()
_handlers, _level = _root.handlers[:], _root.level
from onvif.client import ONVIFService  # noqa: E402 - it adds a handler to the root logger

_root.handlers[:] = _handlers
_root.setLevel(_level)


def onvif_service(wsdl: str, binding: str, url: str, transport: object) -> Any:
    """Return one camera's service: each operation of the WSDL is a method, called by keywords."""
    new_client: Any = zeep.Client  # its signature has no types
    client = new_client(document(wsdl), transport=transport, settings=LENIENT)
    service = ONVIFService(
        url, "", "", str(file_of(wsdl)), zeep_client=client, binding_name=binding
    )
    service.service_wrapper = _as_it_is
    return service


def _as_it_is(operation: Any) -> Any:
    return operation
