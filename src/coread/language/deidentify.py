"""Report text without names, dates, identifiers and addresses; English and Turkish."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from coread.language.tokens import normalise

_UPPER = r"[A-ZÇĞİÖŞÜ]"
_NAME = rf"(?:{_UPPER}['’]|Mc|Mac)?{_UPPER}[a-zçğıöşüâîû'’-]+|{_UPPER}{{2,}}(?:['’-]{_UPPER}+)?|{_UPPER}\."
_NAMES = rf"(?:{_NAME})(?:[ ,]{{1,2}}(?:{_NAME})){{0,3}}"
_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?|ocak|şubat|mart|nisan|mayıs|haziran|temmuz|ağustos|eylül|ekim|kasım|aralık"
)
_TITLE = (
    r"Drs?\.?|Doctor|Prof\.?|Professor|Mrs?\.?|Ms\.?|Miss|Doç\.?|Uzm\.?|Op\.?|Yrd\.?|Sayın|Hemşire|Nurse|RN|"
    r"Bay|Bayan"
)
_LABEL = (
    r"(?:Patient(?:['’]s)?(?: name)?|Name|Referring(?: physician| doctor)?|Attending|Physician|Radiologist|"
    r"(?:Electronically )?(?:Dictated|Signed|Read|Reported|Requested) by|"
    r"Hasta(?: adı| Adı| ADI)?(?:[ /]soyadı| Soyadı)?|Adı?(?:[ -]?Soyadı)?|İsteyen(?: hekim| doktor)?|"
    r"Raporlayan|Onaylayan|HASTA ADI|ADI SOYADI|PATIENT NAME|NAME|PATIENT)"
)
_RUN = rf"(?:{_NAME})(?:[ \t]+(?:{_NAME})){{0,3}}"
_ROADS = r"Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Lane|Ln|Court"
_YOLLAR = r"Mah|Mahallesi|Cad|Caddesi|Sok|Sokak|Sokağı|Bulvarı"
_HOUSES = r"Hospital|Clinic|Medical Center|Hastanesi|Kliniği|Tıp Merkezi"
_NUMBERS = (
    r"MRN|Accession(?: (?:number|no))?|Patient ID|ID|SSN|Account|Case|Protokol(?: no)?|Dosya(?: no)?|"
    r"TC(?: kimlik)?(?: no)?|T\.C\.(?: kimlik)?(?: no)?|Kimlik(?: no)?|Order"
)


@dataclass(frozen=True, slots=True)
class Identifier:
    """A stretch of text that may identify a person."""

    kind: str
    text: str
    start: int
    end: int


# (kind, pattern, group); the careful setting takes all, the other one leaves out the last few
_PATTERNS: tuple[tuple[str, re.Pattern[str], int], ...] = (
    ("name", re.compile(rf"(?i:\b{_LABEL})[ \t]*[:=][ \t]*({_NAMES})"), 1),
    ("name", re.compile(rf"\b(?:{_TITLE})[ \t]+((?:(?:{_TITLE})[ \t]+)*{_NAMES})"), 1),
    (
        "name",
        re.compile(
            rf"\b({_UPPER}[a-zçğıöşü]+(?:[ \t]+{_NAME}){{0,2}}),?[ \t]+(?:MD|M\.D\.|DO|PhD|FRCR|Hanım|Bey)\b"
        ),
        1,
    ),
    ("name", re.compile(rf"\b{_UPPER}{{2,}}\^{_UPPER}+(?:\^{_UPPER}*)*"), 0),
    ("date", re.compile(r"\b\d{1,4}[./-]\d{1,2}[./-]\d{2,4}\b"), 0),
    ("date", re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)?[ .-](?:{_MONTHS})[ .,-]*(?:\d{{2,4}})?\b", re.I), 0),
    ("date", re.compile(rf"\b(?:{_MONTHS})[ .]+\d{{1,2}}(?:st|nd|rd|th)?(?:[, ]+\d{{4}})?\b", re.I), 0),
    ("date", re.compile(rf"\b(?:{_MONTHS})[ ,]+\d{{4}}\b", re.I), 0),
    ("time", re.compile(r"\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\s?[ap]\.?m\.?)?", re.I), 0),
    (
        "identifier",
        re.compile(
            rf"\b(?:{_NUMBERS})[ \t]*(?:number|no\.?)?[ \t]*[:#=.]?[ \t]*#?([A-Z]{{0,4}}-?\d[\w-]{{2,}})",
            re.I,
        ),
        1,
    ),
    ("identifier", re.compile(r"\b\d{3}-\d{2}-\d{4}\b"), 0),
    ("identifier", re.compile(r"\b[1-9]\d{10}\b"), 0),
    ("identifier", re.compile(r"\b\d+(?:\.\d+){5,}\b"), 0),
    ("contact", re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), 0),
    ("contact", re.compile(r"https?://\S+"), 0),
    (
        "contact",
        re.compile(r"(?<![\w.])(?:\+\d{1,3}[ -]?)?(?:\(0?\d{3}\)|0?\d{3})[ -]\d{3}[ -]?\d{2}[ -]?\d{2}\b"),
        0,
    ),
    ("address", re.compile(rf"\b\d{{1,5}}[ \t]+{_RUN}[ \t]+(?:{_ROADS})\b\.?"), 0),
    ("address", re.compile(rf"\b{_RUN}[ \t]+(?:{_YOLLAR})\b\.?(?:[ \t]*No[:.]?[ \t]*\d+\w?)?"), 0),
    ("institution", re.compile(rf"\b{_RUN}[ \t]+(?:{_HOUSES})\b"), 0),
)
_CAREFUL: tuple[tuple[str, re.Pattern[str], int], ...] = (
    ("age", re.compile(r"\b(?:9\d|1[01]\d)[- ](?:years?|yr|yaş)", re.I), 0),
    ("date", re.compile(r"\b(?:19|20)\d{2}\b"), 0),
    ("identifier", re.compile(r"\b(?=[A-Z0-9-]*\d)[A-Z0-9]{2,}-?\d{5,}\b|\b\d{6,}\b"), 0),
    (
        "name",
        re.compile(
            rf"\b(?:discussed with|notified|informed|called to|paged|by)[ \t]+((?:{_NAME})[ \t]+(?:{_NAME}))"
        ),
        1,
    ),
)


def identifiers(text: str, *, careful: bool = True) -> tuple[Identifier, ...]:
    """Return what may identify a person, in order and without overlap.

    Args:
        text: A report.
        careful: Recall first: years alone, ages of 90 and more, long numbers and names after words of
            communication count too.
    """
    found: list[Identifier] = []
    for kind, pattern, group in (*_PATTERNS, *(_CAREFUL if careful else ())):
        for match in pattern.finditer(text):
            start, end = match.span(group)
            if start < end:
                found.append(Identifier(kind, text[start:end], start, end))
    known = {word for i in found if i.kind == "name" for word in re.findall(r"\w{3,}", i.text)}
    for name in sorted(known - {"Dr", "Prof"}):  # a name once found is taken out everywhere
        again = re.finditer(rf"\b{re.escape(name)}\b", text)
        found.extend(Identifier("name", match.group(), *match.span()) for match in again)
    return tuple(_apart(found))


def _apart(found: Iterable[Identifier]) -> list[Identifier]:
    kept: list[Identifier] = []
    for item in sorted(found, key=lambda i: (i.start, -(i.end - i.start))):
        if not kept or item.start >= kept[-1].end:
            kept.append(item)
    return kept


def deidentify(text: str, *, careful: bool = True) -> str:
    """Return a report with every identifier replaced by its kind in brackets.

    No rule finds every name; text for others has to be read by a person as well.

    Examples:
        >>> deidentify("Discussed with Dr. Jane Smith on 03/14/2021. MRN: 1234567.")
        'Discussed with Dr. [name] on [date]. MRN: [identifier].'
    """
    text = normalise(text)
    parts = []
    last = 0
    for item in identifiers(text, careful=careful):
        parts += [text[last : item.start], f"[{item.kind}]"]
        last = item.end
    return "".join([*parts, text[last:]])
