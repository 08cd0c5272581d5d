"""One base for every error a person or the center may see: a code, what is wrong, what to do."""


class PolesideError(Exception):
    """An expected failure.

    `code` is part of the contract ("camera.unreachable"); `hint` says what to do; `retryable`
    says whether trying again without a person's help makes sense.
    """

    def __init__(self, code: str, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.code, self.hint, self.retryable = code, hint, retryable

    def __str__(self) -> str:
        text = f"[{self.code}] {self.args[0]}"
        return f"{text} What to do: {self.hint}" if self.hint else text

    @property
    def message(self) -> str:
        """What is wrong, without code and hint."""
        return str(self.args[0])


class SettingsError(PolesideError):
    """The settings can't be used; the message names the path."""


class CameraError(PolesideError):
    """A camera can't be reached, logged in to, or understood."""


class StorageError(PolesideError):
    """The disk or a database can't take or give what was asked."""


class CommandError(PolesideError):
    """A command was refused or failed; `code` goes to the center."""


class LinkError(PolesideError):
    """The broker can't be reached or refuses us."""


class DetectorError(PolesideError):
    """The detector can't be loaded or did not answer."""


class EnrolError(PolesideError):
    """The box has no identity from the center, or can't get or renew one."""


class ExamError(PolesideError):
    """Footage or its ground truth can't be used for the exam."""
