"""The media services of a simulated camera: profiles, addresses, encoders, overlays and masks."""

from dataclasses import dataclass, replace

from lxml import etree

from agent.simulators.camera import onvif_media_answers as answers
from agent.simulators.camera.onvif_answers import MEDIA, MEDIA2
from agent.simulators.camera.onvif_http import HttpRequest
from agent.simulators.camera.onvif_media_answers import Encoder, Osd
from agent.simulators.camera.onvif_service import Camera, Operations, SoapRefusal, said

SNAPSHOT_PATH = "/snapshot.jpg"
_MAIN, _SUB = "main", "sub"


@dataclass(slots=True)
class MediaState:
    """What may be set; tests look at it."""

    encoders: dict[str, Encoder]
    osds: dict[str, Osd]
    masks: dict[str, str]


class MediaService:
    """Answers Media 1 and, when the camera has it, Media 2."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        config = camera.config
        encoders = {
            token: Encoder(token=f"encoder-{token}", size=size, fps=config.fps, gop=config.fps * 2)
            for token, size in ((_MAIN, config.main_size_px), (_SUB, config.sub_size_px))
        }
        self.state = MediaState(encoders, {"osd-1": Osd("osd-1", "Camera 1")}, {})

    def operations(self) -> Operations:
        names = (
            "GetVideoSources",
            "GetProfiles",
            "GetStreamUri",
            "GetSnapshotUri",
            "GetVideoEncoderConfiguration",
            "GetVideoEncoderConfigurations",
            "SetVideoEncoderConfiguration",
            "GetOSDs",
            "SetOSD",
            "CreateOSD",
            "DeleteOSD",
        )
        table: Operations = {(MEDIA, name): self._answer for name in names}
        if self._camera.config.media2:
            table |= {(MEDIA2, name): self._answer for name in names if name not in _ONLY_MEDIA1}
            table |= {(MEDIA2, name): self._answer_masks for name in _MASK_NAMES}
        return table

    async def _answer(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        name, is_media2 = etree.QName(operation).localname, _is_media2(operation)
        prefix = "tr2" if is_media2 else "trt"
        config, state = self._camera.config, self.state
        if name == "GetVideoSources":
            return answers.video_sources(config.main_size_px, config.fps)
        if name == "GetProfiles":  # the small one first: order must mean nothing to clients
            faults = self._camera.faults
            listed = [(token, self._shown(state.encoders[token])) for token in (_SUB, _MAIN)]
            if faults.lists_jpeg:
                jpeg = Encoder("encoder-jpeg", config.main_size_px, 5, 0, encoding="JPEG")
                listed.insert(0, ("jpeg", jpeg))
            return answers.profiles(
                listed, has_ptz=config.ptz, is_media2=is_media2, has_audio=faults.sends_audio
            )
        if name in ("GetStreamUri", "GetSnapshotUri"):
            return answers.uri(prefix, name, self._uri(operation, name))
        if "Encoder" in name:
            return self._encoder(operation, name, prefix)
        return self._osd(operation, name, prefix)

    def _shown(self, encoder: Encoder) -> Encoder:
        return replace(encoder, is_smart=self._camera.faults.smart_codec)

    def _uri(self, operation: etree._Element, name: str) -> str:
        config = self._camera.config
        urls = {_MAIN: config.rtsp_main_url, _SUB: config.rtsp_sub_url}
        token = said(operation, "ProfileToken")
        if token not in urls:
            raise SoapRefusal("NoProfile", "no such profile")
        return f"{self._camera.base()}{SNAPSHOT_PATH}" if "Snapshot" in name else urls[token]

    def _encoder(self, operation: etree._Element, name: str, prefix: str) -> str:
        by_token = {e.token: (key, e) for key, e in self.state.encoders.items()}
        if name == "SetVideoEncoderConfiguration":
            found = operation.find("{*}Configuration")
            token = "" if found is None else found.get("token", "")
            if token not in by_token:
                raise SoapRefusal("NoConfig", "no such encoder")
            key, encoder = by_token[token]
            if not self._camera.faults.ignores_writes:
                self.state.encoders[key] = _as_told(encoder, found)
            return f"<{prefix}:SetVideoEncoderConfigurationResponse/>"
        wanted = said(operation, "ConfigurationToken")
        shown = [e for token, (_, e) in by_token.items() if wanted in ("", token)]
        if not shown:
            raise SoapRefusal("NoConfig", "no such encoder")
        return answers.encoders(prefix, name, shown)

    def _osd(self, operation: etree._Element, name: str, prefix: str) -> str:
        osds, is_fixed = self.state.osds, self._camera.faults.ignores_writes
        token = said(operation, "OSDToken")
        if name == "GetOSDs":
            return answers.osds(prefix, list(osds.values()))
        if name == "DeleteOSD":
            osds.pop(token, None)
            return f"<{prefix}:DeleteOSDResponse/>"
        told = operation.find("{*}OSD")
        token = "" if told is None else told.get("token", "")
        if name == "CreateOSD":
            token = f"osd-{len(osds) + 1}"
        elif token not in osds:
            raise SoapRefusal("NoConfig", "no such text")
        if not is_fixed:
            osds[token] = Osd(token, said(operation, "PlainText"))
        inner = f"<{prefix}:OSDToken>{token}</{prefix}:OSDToken>" if name == "CreateOSD" else ""
        return f"<{prefix}:{name}Response>{inner}</{prefix}:{name}Response>"

    async def _answer_masks(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        name, masks = etree.QName(operation).localname, self.state.masks
        if name == "GetMasks":
            return f"<tr2:GetMasksResponse>{''.join(masks.values())}</tr2:GetMasksResponse>"
        if name == "DeleteMask":
            masks.pop(said(operation, "Token"), None)
            return "<tr2:DeleteMaskResponse/>"
        token = f"mask-{len(masks) + 1}"
        told = operation.find("{*}Mask")
        if told is None:
            raise SoapRefusal("InvalidArgVal", "no mask given")
        told.tag = f"{{{MEDIA2}}}Masks"
        told.set("token", token)
        if not self._camera.faults.ignores_writes:
            masks[token] = etree.tostring(told, with_tail=False).decode()
        return f"<tr2:CreateMaskResponse><tr2:Token>{token}</tr2:Token></tr2:CreateMaskResponse>"


_ONLY_MEDIA1 = {"GetVideoSources", "GetVideoEncoderConfiguration"}
_MASK_NAMES = ("GetMasks", "CreateMask", "DeleteMask")


def _is_media2(operation: etree._Element) -> bool:
    return bool(etree.QName(operation).namespace == MEDIA2)


def _as_told(encoder: Encoder, told: etree._Element) -> Encoder:
    gop = told.get("GovLength") or said(told, "GovLength")
    size = said(told, "Width"), said(told, "Height")
    return replace(
        encoder,
        encoding=said(told, "Encoding", encoder.encoding),
        size=(int(size[0]), int(size[1])) if all(size) else encoder.size,
        fps=round(float(said(told, "FrameRateLimit", str(encoder.fps)))),
        kbps=int(said(told, "BitrateLimit", str(encoder.kbps))),
        gop=int(gop) if gop else encoder.gop,
    )
