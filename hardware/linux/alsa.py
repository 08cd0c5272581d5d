"""A loudspeaker behind ALSA: `aplay` of alsa-utils takes the samples on its standard input."""

import subprocess
from contextlib import suppress

from hardware.speaker import OpenSpeaker, SpeakerError

_FORM = ("-t", "raw", "-f", "S16_LE", "-r", "8000", "-c", "1", "--buffer-time=200000")
_APLAY = ("aplay", "-q", *_FORM)
_END_S = 1.0


class AlsaSpeaker:
    """The default device, which `/etc/asound.conf` names."""

    def __init__(self, command: tuple[str, ...] = _APLAY) -> None:
        self._command = command

    def open(self) -> OpenSpeaker:
        try:
            return _Playing(
                subprocess.Popen(  # noqa: S603 - our own program, no words of others
                    self._command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
                )
            )
        except OSError as error:
            raise SpeakerError(f"The speaker can't be had: {error}.") from error


class _Playing:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def write(self, samples: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was opened with a pipe
        try:
            self._process.stdin.write(samples)
        except OSError as error:
            raise SpeakerError("The speaker takes nothing: is a sound device there?") from error

    def close(self) -> None:
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
