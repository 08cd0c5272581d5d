"""Runs the image's network trial as its unit does, in folders of a test.

Usage: python network_trial.py FOLDER TRIAL_S [boot]; the commands are written to FOLDER/applied.
"""

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "image-build" / "python"))

from poleside_image.network import LOOK_S, Folders, Networks


def folders_in(folder: Path) -> Folders:
    wishes = folder / "wishes"
    wishes.mkdir(exist_ok=True)
    return Folders(wishes, folder / "network.json", folder / "run", folder / "net")


def main(folder: Path, trial_s: float, word: str = "run") -> None:
    commands = (("sh", "-c", f"cat {{run}}/poleside-network/firewall.nft >> {folder}/applied"),)
    networks = Networks(folders_in(folder), commands, trial_s=trial_s)
    networks.start()
    pause = threading.Event().wait
    while word == "run":
        networks.look()
        pause(LOOK_S / 5)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:])
