"""A box without ONVIF cameras never pays for the SOAP libraries."""

import subprocess
import sys


def test_the_gate_and_the_port_load_no_soap_library():
    program = (
        "import sys, agent.cameras.gate, agent.cameras.port, agent.cameras.streams; "
        "print(sorted({'zeep', 'lxml', 'requests', 'onvif', 'urllib3'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_backend_takes_onvif_zeep_s_service_and_leaves_the_root_logger_alone():
    program = (
        "import logging, sys, agent.cameras.zeep_backend, agent.cameras.wsdl_documents as wsdl; "
        "wsdl.document('ptz.wsdl'); "
        "print('onvif.client' in sys.modules, logging.getLogger().handlers)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True []"
