"""Which detection model a box runs, as its settings and what is remembered of models say."""

from pathlib import Path

from agent.detect.choice import ModelChoice
from agent.settings.load import data_dir_of
from agent.settings.model import Settings


def model_choice(settings: Settings) -> ModelChoice:
    """Return the choice; the detect process and the workers come to the same one."""
    told = settings.detector
    return ModelChoice(
        wanted=Path(told.model) if told.model else None,
        keys_file=Path(told.keys_file) if told.keys_file else None,
        memory=data_dir_of(settings) / "models",
    )
