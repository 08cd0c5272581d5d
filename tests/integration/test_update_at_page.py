"""An update from a stick: from the page through the agent to the image's installer, and back.

The image's folders are those of a simulated board. RAUC is the real one: it turns down a bundle
that nobody signed, so nothing is installed, and the page tells why.
"""

import json
import os

import pytest
from poleside_image import update

from agent.app.run_dir import image_root
from agent.settings.model import BoardSettings, Settings
from tests.outside_box import OutsideBox


def stick_in(box):
    """Lay out an image with a stick in it; return the image's folder and the stick's bundle."""
    root = image_root(Settings(data_dir=str(box.data_dir), board=BoardSettings(kind="simulated")))
    for folder in ("usr/lib/poleside", "data/image", "run/poleside-stick", "dev/disk/by-label"):
        (root / folder).mkdir(parents=True)
    (root / "usr/lib/poleside/release.json").write_text(json.dumps({"version": "1.3.0"}))
    (root / "dev/disk/by-label/POLESIDE").touch()
    bundle = root / "run/poleside-stick/poleside-1.4.0.raucb"
    bundle.write_bytes(os.urandom(3_000_000))
    return root, bundle


@pytest.mark.timeout(240)
def test_an_update_from_a_stick_goes_to_the_installer_whose_word_comes_back(tmp_path):
    box = OutsideBox(tmp_path)
    root, bundle = stick_in(box)
    with box:
        cookie = box.claimed()
        assert f'value="{bundle}"' in box.ask("/service", cookie=cookie).body.decode()
        pressed = box.press("/service/update/install", cookie, bundle=str(bundle))
        assert pressed.status == 200, pressed.body.decode()

        plan = box.data_dir / "update/plan.json"
        box.once(lambda _: plan.exists())
        copied = plan.parent / json.loads(plan.read_text())["bundle"]
        assert copied.read_bytes() == bundle.read_bytes()
        assert update.main([str(plan)], root / "data/image") == 0

        page = box.once(lambda told: b"[update.not_trusted]" in told.body, "/service", cookie)
        assert b"1.4.0" in page.body
        assert not plan.exists()
        for op in (b"update.stick", b"update.asked"):
            box.once(lambda told, op=op: b"<b>%s</b>" % op in told.body, "/audit", cookie)
