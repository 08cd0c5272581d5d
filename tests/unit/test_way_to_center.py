"""A password goes to the host it was given for, and to no other."""

from types import SimpleNamespace

import pytest

from agent.core.errors import SettingsError
from agent.local.setup.changes import SetupChanges

PERSON = SimpleNamespace(name="kim", role=SimpleNamespace(value="technician"))


class Config:
    """Notes what would be set."""

    def __init__(self, password="secret"):
        broker = SimpleNamespace(urls=("mqtts://center.example:8883",), password=password)
        self.settings, self.patches = SimpleNamespace(broker=broker), []

    async def set_here(self, patch, _actor, *, needs_word):
        assert needs_word
        self.patches.append(patch["broker"])


async def test_another_host_needs_the_password_anew():
    config = Config()
    with pytest.raises(SettingsError) as caught:
        await SetupChanges(config).put_way("mqtts://other.example:8883", "", "", PERSON)
    assert (caught.value.code, config.patches) == ("setup.password_anew", [])
    await SetupChanges(config).put_way("mqtts://other.example:8883", "box", "new", PERSON)
    assert config.patches[-1]["password"] == "new"


@pytest.mark.parametrize(
    ("password", "url"),
    [("secret", "mqtts://center.example:8884"), ("", "mqtts://other.example:8883")],
)
async def test_the_same_host_or_no_password_needs_none(password, url):
    config = Config(password)
    await SetupChanges(config).put_way(url, "", "", PERSON)
    assert config.patches == [{"urls": [url]}]
