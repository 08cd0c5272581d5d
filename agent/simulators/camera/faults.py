"""The switches that make a simulated camera misbehave, as real ones do. Changed while it runs."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Share = Annotated[float, Meta(ge=0, le=1)]
Method = Literal["", "OPTIONS", "DESCRIBE", "SETUP", "PLAY"]


class Faults(Struct, forbid_unknown_fields=True):
    """All off at first. Readers look at it each time, so a change works at once.

    Of the line. `stall`: connections stay open and nothing at all is sent. `rtcp_only`: sender
    reports go on, video stops. `refuse`: the port is closed to new connections. `disconnect`: drop
    every connection now (resets itself); `reset`: the same, with a TCP reset.

    Of answers. `hang_describe`: DESCRIBE is never answered; `hang`: nor is this method. `status`:
    answer `status_of` with it. `drip`: answers come a byte at a time. `hostile`: answers that want
    the client's memory. `mangle_answers`: this share of their bytes is wrong.

    Of the description. `no_sets_in_sdp`: parameter sets come with the video only.
    `no_sets_in_video`: they come with the description only.

    Of time. `jump_s`: time stamps jump by it (resets itself). `pace`: media seconds a second.
    `every`: only every n-th picture is sent, with time stamps as if all the others never were.

    Of packets. Shares of the RTP packets that are lost, sent twice, swapped with the next one, or
    have wrong bytes: `bad_payload`, `bad_nal_header`, `bad_rtp_header`, `bad_frame_header` (of the
    "$" framing), `cut_short`. `no_marker`: no packet ends its picture. `wrong_payload_type` and
    `new_ssrc`: in every packet. `seq_jump`: sequence numbers jump (resets itself).
    """

    stall: bool = False
    rtcp_only: bool = False
    refuse: bool = False
    disconnect: bool = False
    reset: bool = False

    hang_describe: bool = False
    hang: Method = ""
    status: int = 0
    status_of: Method = "DESCRIBE"
    drip: bool = False
    hostile: Literal["", "long_line", "many_headers", "long_sdp", "huge_length", "many_tracks"] = ""
    mangle_answers: Share = 0.0

    no_sets_in_sdp: bool = False
    no_sets_in_video: bool = False

    jump_s: float = 0.0
    pace: Annotated[float, Meta(ge=0, le=100)] = 1.0
    every: Annotated[int, Meta(ge=1)] = 1

    loss: Share = 0.0
    twice: Share = 0.0
    swapped: Share = 0.0
    bad_payload: Share = 0.0
    bad_nal_header: Share = 0.0
    bad_rtp_header: Share = 0.0
    bad_frame_header: Share = 0.0
    cut_short: Share = 0.0
    no_marker: bool = False
    wrong_payload_type: bool = False
    new_ssrc: bool = False
    seq_jump: int = 0
    seed: int = 1
