"""`camera.osd`, `.masks`, `.encoder`, `.password`, `.care`: a camera is looked after by order.

What is written is read back: the reply says what was asked, and what the camera has. What changes
settings here is no drift: the picture that the box keeps of them follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agent.contract.camera_args import (
    CameraCare,
    CameraEncoder,
    CameraMasks,
    CameraOsd,
    CameraPassword,
)
from agent.core.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from joserfc.jwk import OKPKey

    from agent.cameras.gate import CameraGate
    from agent.cameras.media import AskedGot
    from agent.cameras.ptz_head import PtzHead
    from agent.cameras.ptz_presets import Preset
    from agent.commands.ptz_lease import GateOf, Leases
    from agent.commands.registry import Progress
    from agent.contract.commands import Command
    from agent.core.clock import Clock

_ARRIVED_S, _LOOK_S = 30.0, 0.2
_MOST_TOLD = 50


class Keeper(Protocol):
    """Who keeps the cameras' places: passwords, and the pictures of their settings."""

    async def rotate_password(self, camera_id: str) -> str: ...

    def kept_settings(self, camera_id: str) -> dict[str, str]: ...

    def changed_by_us(self, camera_id: str, *parts: str) -> None: ...

    def accept(self, camera_id: str) -> None: ...


class CameraOrders:
    """What changes a camera is not repeated after a restart, but for `camera.encoder`."""

    def __init__(self, gate_of: GateOf, keeper: Keeper, leases: Leases, clock: Clock) -> None:
        self._gate_of, self._keeper = gate_of, keeper
        self._leases, self._clock = leases, clock

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        match command.args:
            case CameraOsd() as args:
                result = await self._osd(args)
            case CameraMasks() as args:
                result = await self._masks(args)
            case CameraEncoder() as args:
                result = await self._encoder(args)
            case CameraPassword() as args:
                result = await self._password(args)
            case CameraCare() as args:
                result = await self._care(command, args)
            case _:
                raise CommandError("command.wrong_handler", f"{command.op} is no camera's care.")
        return {"camera_id": args.camera_id, **result}

    async def _osd(self, args: CameraOsd) -> dict[str, object]:
        from agent.cameras import overlays  # noqa: PLC0415 - lxml, ONVIF only
        from agent.cameras.settings_picture import TEXTS  # noqa: PLC0415

        gate, got = self._gate_of(args.camera_id), None
        if args.action == "set":
            got = await gate.over(lambda line: overlays.set_text(line, args.token, args.text))
        elif args.action == "add":
            added = await gate.over(lambda line: overlays.add_text(line, args.text, args.corner))
            got = added.text
        elif args.action == "remove":
            await gate.over(lambda line: overlays.remove_text(line, args.token))
        if args.action != "list":
            self._keeper.changed_by_us(args.camera_id, TEXTS)
        shown = await gate.over(overlays.overlays)
        result: dict[str, object] = {
            "texts": [{"token": one.token, "text": one.text} for one in shown]
        }
        return result if got is None else {**result, "asked": args.text, "got": got}

    async def _masks(self, args: CameraMasks) -> dict[str, object]:
        from agent.cameras import overlays  # noqa: PLC0415 - lxml, ONVIF only
        from agent.cameras.settings_picture import MASKS  # noqa: PLC0415

        gate = self._gate_of(args.camera_id)
        result: dict[str, object] = {}
        if args.action == "add":
            mask = await gate.over(lambda line: overlays.add_mask(line, args.polygon))
            result = {"token": mask.token, "asked": args.polygon, "got": mask.polygon}
        elif args.action == "remove":
            await gate.over(lambda line: overlays.remove_mask(line, args.token))
        if args.action != "list":
            self._keeper.changed_by_us(args.camera_id, MASKS)
        shown = await gate.over(overlays.masks)
        return {**result, "masks": [{"token": one.token, "polygon": one.polygon} for one in shown]}

    async def _encoder(self, args: CameraEncoder) -> dict[str, object]:
        from agent.cameras import media  # noqa: PLC0415 - lxml, ONVIF only
        from agent.cameras.settings_picture import ENCODERS  # noqa: PLC0415

        encoding = args.encoding or None
        wish = media.EncoderWish(
            encoding, args.width_px, args.height_px, args.fps, args.kbps, args.gop
        )
        gate = self._gate_of(args.camera_id)
        done = await gate.over(lambda line: media.set_stream(line, args.stream, wish))
        self._keeper.changed_by_us(args.camera_id, ENCODERS)
        return {"stream": args.stream, "changed": _told(done)}

    async def _password(self, args: CameraPassword) -> dict[str, object]:
        if not self._leases.is_free(args.camera_id):
            raise CommandError(
                "camera.held",
                f"Somebody moves camera {args.camera_id} just now.",
                hint="Order it again when the lease is over.",
                retryable=True,
            )
        recipient = _recipient(args.seal_for) if args.seal_for else None
        self._gate_of(args.camera_id)
        made = await self._keeper.rotate_password(args.camera_id)
        sealed = {} if recipient is None else {"sealed": _sealed(made, recipient)}
        return {"changed": True, **sealed}

    async def _care(self, command: Command, args: CameraCare) -> dict[str, object]:
        from agent.cameras import care, restore  # noqa: PLC0415 - lxml, ONVIF only
        from agent.cameras.settings_picture import settings_picture  # noqa: PLC0415

        camera_id = args.camera_id
        if args.action == "accept":  # of a camera without ONVIF, too
            self._keeper.accept(camera_id)
            return {"accepted": True}
        gate = self._gate_of(camera_id)
        kept = self._keeper.kept_settings(camera_id)
        match args.action:
            case "clock":
                done = await gate.over(lambda line: care.set_clock(line, self._clock))
                return {"before_s": done.before.ahead_s, "after_s": done.after.ahead_s}
            case "reboot":
                await gate.over(care.reboot)
                return {"rebooting": True}
            case "restore":
                changed = _told(await gate.over(lambda line: restore.restore(line, kept)))
                if self._leases.is_held_by(camera_id, command.by):
                    changed += await self._restore_presets(gate, kept)
            case _:
                changed = []
        drift = care.drift(kept, await gate.over(settings_picture)) if kept else ()
        differs = [{"path": one.path, "was": one.was, "now": one.now} for one in drift]
        return {"changed": changed, "total": len(drift), "differs": differs[:_MOST_TOLD]}

    async def _restore_presets(
        self, gate: CameraGate, kept: dict[str, str]
    ) -> list[dict[str, str]]:
        """Go to each preset that is not where it was, and keep it there."""
        from agent.cameras import restore  # noqa: PLC0415 - lxml, ONVIF only
        from agent.cameras.ptz_presets import presets_of  # noqa: PLC0415
        from agent.cameras.settings_picture import preset_in_words  # noqa: PLC0415

        wanted = restore.presets_in(kept)
        now = {one.token: preset_in_words(one) for one in await gate.over(presets_of)}
        done = []
        for preset in wanted:
            asked = preset_in_words(preset)
            if now.get(preset.token) == asked:
                continue
            await gate.go(_to(preset))
            waited_s = 0.0
            while (await gate.position()).is_moving and waited_s < _ARRIVED_S:
                await self._clock.sleep_s(_LOOK_S)
                waited_s += _LOOK_S
            got = await gate.head(_kept(preset))
            done.append(
                {"name": f"preset {preset.token}", "asked": asked, "got": preset_in_words(got)}
            )
        return done


def _told(done: tuple[AskedGot, ...]) -> list[dict[str, str]]:
    return [{"name": one.name, "asked": one.asked, "got": one.got} for one in done]


def _to(preset: Preset) -> Callable[[PtzHead], bool]:
    return lambda head: head.goto(preset.place)


def _kept(preset: Preset) -> Callable[[PtzHead], Preset]:
    return lambda head: head.set_preset(preset.name, preset.token)


def _recipient(key: str) -> OKPKey:
    from joserfc.errors import JoseError  # noqa: PLC0415 - rarely needed
    from joserfc.jwk import OKPKey  # noqa: PLC0415

    try:
        recipient = OKPKey.import_key({"kty": "OKP", "crv": "X25519", "x": key})
        _sealed("", recipient)  # a key nothing can be sealed for is refused before anything is done
    except (JoseError, ValueError) as error:
        raise CommandError("camera.bad_key", "`seal_for` is no X25519 key.") from error
    return recipient


def _sealed(password: str, recipient: OKPKey) -> str:
    """Encrypt it for the holder of a private key alone (RFC 7516, RFC 8037)."""
    from joserfc import jwe  # noqa: PLC0415 - rarely needed

    header = {"alg": "ECDH-ES", "enc": "A256GCM"}
    return jwe.encrypt_compact(header, password.encode(), recipient)
