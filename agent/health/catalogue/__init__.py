"""Every fault the box can name: how bad it is, and its words in English and Korean.

A sentence says what is wrong as a technician would; a hint says what to do next, with hands. Words
in braces are filled in by `agent.health.checks`. Korean particles never follow a brace.
"""

from agent.health.catalogue.box import BOX
from agent.health.catalogue.cameras import CAMERAS
from agent.health.catalogue.center import CENTER
from agent.health.catalogue.storage import STORAGE
from agent.health.catalogue.words import Words

CATALOGUE: dict[str, Words] = CAMERAS | STORAGE | CENTER | BOX
