"""The acceptance report on paper: Korean is read and copied out, whatever a camera is called."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from agent.local.report.facts import (
    CameraFacts,
    FaultFacts,
    GapFacts,
    PartFacts,
    ReportFacts,
    TestFacts,
    ZoneFacts,
)
from agent.local.report.pdf_file import FONT, PdfFile
from agent.local.report.render import html_of, pdf_of
from agent.local.report.truetype import Face
from tests.browser.shown_box import jpeg_of

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def jpeg():
    return jpeg_of(3)


def facts(jpeg):
    gate = CameraFacts(
        camera_id="gate",
        name="북문 <script>alert(1)</script>",
        state="online",
        is_recording=True,
        maker="Simulated",
        model="Camera",
        firmware="1.2",
        serial="SN-7",
        is_calibrated=True,
        zones=(ZoneFacts(rule_id="yard", px_per_m=(41.0, 96.2)), ZoneFacts(rule_id="wall")),
        minutes=1440,
        covered=1431,
        gaps=tuple(
            GapFacts(since=NOW + timedelta(minutes=n), until=None, cause="unreachable")
            for n in range(60)
        ),
        more_gaps=41,
        picture=jpeg,
        picture_age_s=0.4,
    )
    walk = TestFacts(
        kind="walk",
        camera_id="gate",
        at=NOW,
        by="page:kim",
        is_passed=True,
        told="12 detections, alarms: intrusion",
        hash="ab" * 32,
    )
    return ReportFacts(
        site="tb-001",
        box="bx-17",
        by="page:kim",
        made_at=NOW,
        time_quality="ntp",
        version="0.1.0",
        is_connected=True,
        faults=(FaultFacts(code="board.hot", en="The box is hot.", ko="제어함이 뜨겁습니다."),),
        cameras=(gate, CameraFacts(camera_id="yard", name="마당", state="lost")),
        tests=(walk,),
        selftest=(
            PartFacts(part="fan", answer="absent"),
            PartFacts(part="clock chip", answer="well"),
        ),
        key_id="k" * 43,
        audit_head="0" * 64,
    )


def text_of(pdf, folder):
    """Return what another program reads in it."""
    path = folder / "report.pdf"
    path.write_bytes(pdf)
    command = ["pdftotext", "-layout", path, "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            (
                "Acceptance report",
                "1431 of 1440 minutes",
                "out of reach",
                "not calibrated",
                "Walk test gate",
                "Technician",
                "41 earlier gaps",
                "12 detections",
                "Intrusion",
                "clock chip",
            ),
        ),
        (
            "ko",
            (
                "설치 검수 보고서",
                "1440분 중 1431분 녹화됨",
                "카메라에 연결되지 않았습니다",
                "연결 끊김, 알 수 없음",
                "미터당 픽셀",
                "보행 시험 gate",
                "이전 공백 41건",
                "감지 12회",
                "침입",
                "시계 칩",
                "기술자, 날짜, 서명",
            ),
        ),
    ],
)
def test_the_paper_says_in_each_language_what_is_known_and_what_is_not(
    jpeg, tmp_path, language, said
):
    told = facts(jpeg)
    text = text_of(pdf_of(told, language), tmp_path)
    for words in (
        *said,
        "북문 <script>",
        "41 … 96 px/m",
        "SN-7",
        "buffer gaps --camera gate",
        "tb-001",
    ):
        assert words in text, words
    unknown = {"en": "unknown", "ko": "알 수 없음"}[language]
    assert unknown in text
    fonts = subprocess.run(
        ["pdffonts", tmp_path / "report.pdf"], capture_output=True, text=True, check=True
    ).stdout
    assert "NanumSquareR" in fonts
    assert fonts.splitlines()[2].split()[-5:-2] == ["yes", "yes", "yes"]  # embedded, subset, text
    page = html_of(told, language).decode()
    assert "<script>" not in page
    for words in said:
        assert words.split(" gate")[0] in page


def test_each_picture_is_in_the_paper_as_it_was_taken(jpeg, tmp_path):
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf_of(facts(jpeg), "ko"))
    subprocess.run(["pdfimages", "-all", path, tmp_path / "found"], check=True, timeout=30)
    assert [one.read_bytes() for one in tmp_path.glob("found*.jpg")] == [jpeg]


def test_a_paper_is_small_though_its_font_is_not(jpeg):
    assert len(pdf_of(facts(jpeg), "ko")) - len(jpeg) < 200_000 < FONT.stat().st_size


def test_every_korean_syllable_of_the_standard_and_what_is_missing_is_drawn():
    face, pdf = Face(FONT), PdfFile("x")
    syllables = [
        bytes((high, low)).decode("euc_kr")
        for high in range(0xB0, 0xC9)
        for low in range(0xA1, 0xFF)
    ]
    empty = face.glyph("□")
    assert empty
    assert [one for one in syllables if face.glyph(one) in (0, empty)] == []
    assert face.glyph("😀") == face.glyph("\u4e00") == empty
    assert pdf.width_pt("가", 10) > pdf.width_pt("i", 10) > 0
