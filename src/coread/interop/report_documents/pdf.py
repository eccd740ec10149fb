"""A report as PDF, with an embedded font that has the letters of both languages (DejaVu Sans)."""

from __future__ import annotations

import io
from html import escape
from pathlib import Path
from typing import Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Image, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from coread.interop.report_documents.view import ReportView, SentenceView, TableView

_REGULAR, _BOLD = "CoReadSans", "CoReadSans-Bold"
_MARGIN = 16 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_SMALL, _PADDING, _LONGEST_WORD = 6.5, 6.0, 14
_GREY, _LINE, _AMBER = colors.HexColor("#57606a"), colors.HexColor("#c8cdd3"), colors.HexColor("#6b3a00")

# cells name a font even where they hold paragraphs
_IN_FONT: tuple[Any, ...] = (("FONTNAME", (0, 0), (-1, -1), _REGULAR),)


def write_pdf(view: ReportView) -> bytes:
    """Return a report as PDF, the same bytes for the same report."""
    _register_fonts()
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=view.title,
        author="CoRead",
        lang=view.language,
        invariant=1,
    )

    def footer(canvas: Any, page: Any) -> None:
        canvas.saveState()
        canvas.setFont(_REGULAR, 7)
        canvas.setFillColor(_GREY)
        canvas.drawString(_MARGIN, 9 * mm, "  ".join(view.labels))
        canvas.drawRightString(A4[0] - _MARGIN, 9 * mm, view.page.format(number=page.page))
        canvas.restoreState()

    document.build(_story(view), onFirstPage=footer, onLaterPages=footer, canvasmaker=_Canvas)
    return buffer.getvalue()


class _Canvas(Canvas):
    """A canvas whose pages name no font that is not embedded."""

    def _make_preamble(self) -> None:
        self._preamble = "1 0 0 1 0 0 cm"


def _register_fonts() -> None:
    if _REGULAR in pdfmetrics.getRegisteredFontNames():
        return
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    pdfmetrics.registerFont(TTFont(_REGULAR, folder / "DejaVuSans.ttf"))
    pdfmetrics.registerFont(TTFont(_BOLD, folder / "DejaVuSans-Bold.ttf"))
    pdfmetrics.registerFontFamily(_REGULAR, normal=_REGULAR, bold=_BOLD, italic=_REGULAR, boldItalic=_BOLD)


def _style(size: float = 9, *, bold: bool = False, colour: Any = colors.black, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(
        f"s{size}{bold}",
        fontName=_BOLD if bold else _REGULAR,
        fontSize=size,
        leading=size * 1.35,
        textColor=colour,
        bulletFontName=_REGULAR,
        **more,
    )


def _story(view: ReportView) -> list[Any]:
    heading = _style(11, bold=True, spaceBefore=9, spaceAfter=3, keepWithNext=1)
    story: list[Any] = [Paragraph(escape(view.title), _style(16, bold=True, spaceAfter=4))]
    story += [Paragraph(escape(label), _style(9, bold=True, colour=_AMBER)) for label in view.labels]
    story.append(Spacer(1, 3 * mm))
    story.append(_facts(view))
    for section in view.sections:
        story.append(Paragraph(escape(section.title), heading))
        story += [_sentence(sentence) for sentence in section.sentences]
    for title, text in view.addenda:
        story += [Paragraph(escape(title), heading), Paragraph(escape(text), _style())]
    if view.signature:
        story.append(Paragraph(escape(view.signature), _style(9, bold=True, spaceBefore=8)))
    if view.pictures:
        story.append(Paragraph(escape(view.pictures_title), heading))
        story.append(_pictures(view))
    for table in view.tables:
        story += [Paragraph(escape(table.title), heading), _table(table)]
    return story


def _pictures(view: ReportView) -> Table:
    """Return the key images, two a row, each with its caption."""
    width = _WIDTH / 2 - 4 * mm
    cells: list[Any] = []
    for picture in view.pictures:
        height = width * picture.image.height / picture.image.width
        shrink = min(1.0, 110 * mm / height)
        png = io.BytesIO(picture.image.png)
        image = Image(png, width=width * shrink, height=height * shrink, hAlign="LEFT")
        cells.append([image, Paragraph(escape(picture.caption), _style(7.5, colour=_GREY))])
    cells += [""] * (len(cells) % 2)
    rows = [cells[n : n + 2] for n in range(0, len(cells), 2)]
    made = Table(rows, colWidths=[_WIDTH / 2] * 2, hAlign="LEFT")
    at_top = ("VALIGN", (0, 0), (-1, -1), "TOP")
    made.setStyle(TableStyle([*_IN_FONT, at_top, ("LEFTPADDING", (0, 0), (-1, -1), 0)]))
    return made


def _facts(view: ReportView) -> Table:
    rows = [
        [Paragraph(escape(name), _style(8.5, colour=_GREY)), Paragraph(escape(value), _style(8.5))]
        for name, value in view.facts
    ]
    facts = Table(rows or [["", ""]], colWidths=[_WIDTH * 0.25, _WIDTH * 0.75])
    facts.setStyle(
        TableStyle([*_IN_FONT, ("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)])
    )
    return facts


def _sentence(sentence: SentenceView) -> Paragraph:
    origin = f'<font size="7" color="#57606a">({escape(sentence.origin)})</font>'
    return Paragraph(f"{escape(sentence.text)} {origin}", _style(9, leftIndent=6 if sentence.by_model else 0))


def _table(table: TableView) -> Table:
    small = _style(_SMALL, splitLongWords=1)
    head = _style(_SMALL, bold=True, colour=_GREY)
    rows = [[Paragraph(escape(column), head) for column in table.columns]]
    rows += [[Paragraph(escape(cell), small) for cell in row] for row in table.rows]
    made = Table(rows, colWidths=_column_widths(table), repeatRows=1)
    made.setStyle(
        TableStyle(
            [
                *_IN_FONT,
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return made


def _column_widths(table: TableView) -> list[float]:
    """Return widths in which every usual word fits, and long texts get what is left."""
    columns = list(zip(table.columns, *table.rows, strict=True))
    needed = [
        _PADDING + max(_word_width(word) for text in column for word in text.split() or [""])
        for column in columns
    ]
    left = max(_WIDTH - sum(needed), 0.0)
    wanted = [min(max(len(text) for text in column), 80) for column in columns]
    widths = [base + left * share / sum(wanted) for base, share in zip(needed, wanted, strict=True)]
    return [width * min(1.0, _WIDTH / sum(widths)) for width in widths]


def _word_width(word: str) -> float:
    # identifiers and digests are longer than any word and may break
    return float(pdfmetrics.stringWidth(word[:_LONGEST_WORD], _BOLD, _SMALL))
