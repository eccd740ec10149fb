"""Report text without names, dates, identifiers and addresses; English and Turkish."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

from coread.language.tokens import normalise

_LATIN = [chr(code) for code in range(0x41, 0x250)]
_UPPER = f"[{''.join(letter for letter in _LATIN if letter.isupper())}]"
_LOWER = f"[{''.join(letter for letter in _LATIN if letter.islower())}]"
_LETTER = r"[^\W\d_]"
# a word of a name: Smith, O'Neil, McCoy, SMITH, J., García-Pérez
_NAME = (
    rf"(?:{_UPPER}['’]|Mc|Mac)?{_UPPER}{_LOWER}+(?:['’-]{_UPPER}?{_LOWER}+)*"
    rf"|{_UPPER}{{2,}}(?:['’-]{_UPPER}+)*|{_UPPER}\."
)
_LINK = r"(?:van|von|der|den|de|da|del|della|la|le|di|bin|ibn|al|el|ten|ter)"
_NEXT = rf"(?:{_LINK}[ \t]+){{0,2}}(?:{_NAME})"
_NAMES = rf"{_NEXT}(?:,?[ \t]{{1,2}}{_NEXT}){{0,3}}"
_RUN = rf"(?:{_NAME})(?:[ \t]+(?:{_NAME})){{0,3}}"
_ANY = rf"{_LETTER}[\w'’.-]*(?:,?[ \t]{_LETTER}[\w'’.-]*){{0,3}}"  # a name in whatever letters
_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?|ocak|şubat|mart|nisan|mayıs|haziran|temmuz|ağustos|eylül|ekim|kasım|aralık"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_TITLE = (
    r"Drs?\.?|Doctor|Doktor|Prof\.?|Professor|Mrs?\.?|Ms\.?|Miss|Doç\.?|Uzm\.?|Op\.?|Yrd\.?|Öğr\.|Arş\.|Gör\.|Sayın|Sn\.?|"
    r"Hemşire|Hem\.|Teknisyen|Nurse(?: practitioner)?|RN|NP|Resident|Fellow|Physician assistant|"
    r"nurse(?: practitioner)?|resident|physician assistant|hemşire|teknisyen|Bay|Bayan"
)
_DEGREES = r"MD|M\.D\.|DO|D\.O\.|PhD|Ph\.D\.|FRCR|FACR|RN|NP|PA-C|RT|Hanım|Bey"
# what stands before a colon and a person
_PERSON = (
    r"(?:Pt|Patient(?:['’]s)?|Patient(?:['’]s)? name|(?:First |Last |Full |Family |Given )?name|Surname|"
    r"(?:Referring|Ordering|Attending|Requesting|Primary|Consulting)(?: physician| doctor| provider|"
    r" clinician)?|Physician|Provider|Clinician|Radiologist|Technologist|Technician|Sonographer|Nurse|"
    r"Resident|Fellow|Transcriptionist|Author|cc|Signed|Signature|Next of kin|Contact person|Guardian|"
    r"Mother|Father|Spouse|Hasta(?:nın)?(?: adı)?(?:[ /ve]*soyadı)?|Adı?(?:[ /-]*(?:ve )?Soyadı?)?|"
    r"Soyadı?|İsim|Anne adı|Baba adı|(?:İsteyen|İstem yapan|Gönderen|Sorumlu|Onaylayan|Raporlayan|"
    r"Raporu (?:onaylayan|yazan))(?: hekim| doktor)?|Hekim|Doktor|Radyolog|Teknisyen|Tekniker|Hemşire|"
    r"Sekreter|Yazan|Onay|Refakatçi|Yakını)"
)
_BY = (
    r"(?:electronically |digitally )?(?:dictated|signed|read|reported|requested|interpreted|transcribed|"
    r"verified|approved|authenticated|performed|reviewed|ordered|referred|entered|finalized|"
    r"attested)(?: and \w+)? by"
)
_TOLD = (
    r"discussed with|reviewed with|spoke (?:with|to)|notified|informed|(?:called|relayed|conveyed|"
    r"reported) to|paged|by"
)
_RELATIVE = (
    r"wife|husband|son|daughter|mother|father|sister|brother|eşi|oğlu|kızı|annesi|babası|kardeşi|ablası"
)
_ROADS = (
    r"Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Way|Terrace|Place|Pl|Square|"
    r"Highway|Hwy"
)
_YOLLAR = r"Mah(?:\.|allesi)?|Cad(?:\.|desi)?|Sok(?:\.|ak|ağı)?|Sk\.?|Bulv(?:\.|arı)?|Blv\.?|Apt\.?|Sitesi"
_HOUSES = (
    r"Hospital|Clinic|Clinics|Medical Cent(?:er|re)|Health Cent(?:er|re)|Infirmary|University|"
    r"Imaging Cent(?:er|re)|Hastanesi|Kliniği|Tıp Merkezi|Üniversitesi|Tıp Fakültesi|Sağlık Ocağı|"
    r"Görüntüleme Merkezi"
)
_NUMBERED = (
    r"MRN|Med(?:ical)? Rec(?:ord|ords)?|Acc(?:ession)?|Patient ID|Pt ID|ID|SSN|Social security|Account|"
    r"Acct|Case|Visit|Encounter|Order|Policy|Insurance(?: ID)?|Member(?: ID)?|Health card|NHS|"
    r"Licen[cs]e|Serial|Device|Room|Bed|Ward|Barcode|Protokol|Dosya|T\.?C\.?|Kimlik|Hasta|Barkod|Kabul|"
    r"İstem|Sicil|SGK|Sigorta|Oda|Yatak|Cihaz|Seri numarası"
)
_CALLED = r"pager|beeper|bleep|tel|telephone|phone|fax|ext|extension|mobile|cell|gsm|cep|telefon|faks|dahili"
# common given names, without those that are ordinary words of a report
_GIVEN = resources.files("coread.language").joinpath("given_names.txt").read_text("utf-8").split()
_MORE = r"number|no|num|nr|numarası|kimlik|dosya|protokol"


@dataclass(frozen=True, slots=True)
class Identifier:
    """A stretch of text that may identify a person."""

    kind: str
    text: str
    start: int
    end: int


_Rule = tuple[str, re.Pattern[str], int]  # kind, pattern, group
_PATTERNS: tuple[_Rule, ...] = (
    ("name", re.compile(rf"(?i:\b{_PERSON})[ \t]*[:=][ \t]*((?:(?:{_TITLE})[ \t]+)*{_NAMES})"), 1),
    ("name", re.compile(rf"(?i:\b(?:Patient|Hasta)(?:['’]s)?[ ](?:name|adı))[ \t]+[-–][ \t]+({_NAMES})"), 1),
    ("name", re.compile(rf"\b(?:{_TITLE})(?:[ \t]+|(?<=\.))((?:(?:{_TITLE})[ \t]+)*{_NAMES})"), 1),
    ("name", re.compile(rf"(?i:\b{_BY})[ \t]*:?[ \t]*((?:(?:{_TITLE})[ \t]+)*{_NAMES})"), 1),
    ("name", re.compile(rf"\b({_NAMES}),?[ \t]+(?:{_DEGREES})(?!\w)"), 1),
    ("name", re.compile(rf"\b{_UPPER}{{2,}}\^{_UPPER}+(?:\^{_UPPER}*)*"), 0),
    ("date", re.compile(r"\b\d{1,4}([./-])\d{1,2}\1\d{2,4}(?:T[\d:.]+Z?)?\b"), 0),
    ("date", re.compile(rf"\b{_DAY}[ .-]+(?:of )?(?:{_MONTHS})\b[ .,-]*(?:\d{{2,4}})?", re.I), 0),
    ("date", re.compile(rf"\b(?:{_MONTHS})\b[ .]+{_DAY}\b(?:[, ]+\d{{4}}\b)?", re.I), 0),
    ("date", re.compile(rf"\b(?:{_MONTHS})\b[ .,]+\d{{4}}\b", re.I), 0),
    ("time", re.compile(r"\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\s?[ap]\.?m\.?)?", re.I), 0),
    (
        "identifier",
        re.compile(
            rf"(?i:\b(?:{_NUMBERED}))(?:[ \t]+(?i:{_MORE}))*[ \t]*[.:#=-]*[ \t]*#?"
            r"((?=[\w/ -]{0,30}\d{3})[A-Z0-9]{1,6}(?:[/ -]?[A-Z0-9]*\d[A-Z0-9]*)*(?:-[A-Z]{1,3})?)"
            r"(?!\w|[ ]?(?:mm|cm|HU)\b)"
        ),
        1,
    ),
    ("identifier", re.compile(r"\b\d{3}-\d{2}-\d{4}\b"), 0),
    ("identifier", re.compile(r"\b[1-9]\d{10}\b"), 0),
    ("identifier", re.compile(r"\b\d+(?:\.\d+){5,}\b"), 0),
    ("contact", re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), 0),
    ("contact", re.compile(r"(?:https?://|\bwww\.)\S+"), 0),
    ("contact", re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), 0),
    (
        "contact",
        re.compile(rf"(?i:\b(?:{_CALLED}))\b\.?(?: ?(?:{_MORE}))?[ :#.]*((?:\+?[\d(][\d() -]*)?\d{{3,}})"),
        1,
    ),
    (
        "contact",
        re.compile(
            r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?(?:\(0?\d{3}\)[ .-]?|0?\d{3}[ .-])\d{3}[ .-]?\d{2}[ .-]?\d{2}\b"
        ),
        0,
    ),
    (
        "address",
        re.compile(
            rf"\b\d{{1,5}}[A-Z]?[ \t]+{_RUN}[ \t]+(?:{_ROADS})\b\.?"
            rf"(?:,?[ \t]+(?:Apt|Suite|Unit|No|Flat)\b\.?[ \t]*\w+)?(?:,[ \t]*(?:{_RUN}))*"
            rf"(?:,?[ \t]+{_UPPER}{{2}}\b)?(?:[ \t]+\d{{5}}(?:-\d{{4}})?\b)?"
        ),
        0,
    ),
    (
        "address",
        re.compile(
            rf"\b{_RUN}[ \t]+(?:{_YOLLAR})(?!\w)(?:[ \t,]*(?:No|Kat|Daire|D|K)\b[.:]?[ \t]*[\d/]+\w?)*"
            rf"(?:[ \t,]+{_UPPER}{_LOWER}+(?:/{_UPPER}{_LOWER}+)?(?=[ \t]*(?:$|[.,\n/])))?",
            re.M,
        ),
        0,
    ),
    ("address", re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b(?<!MM)(?<!CM)"), 0),
    ("address", re.compile(r"\b[A-Z]{2}[ \t]+\d{5}(?:-\d{4})?\b|\b\d{5}-\d{4}\b"), 0),
    ("institution", re.compile(rf"\b{_RUN}(?:['’]s)?[ \t]+(?:{_HOUSES})\b"), 0),
)
_CAREFUL: tuple[_Rule, ...] = (
    ("age", re.compile(r"\b(?:9\d|1[01]\d)[- ](?:years?|yr|y/?o|yaş)", re.I), 0),
    ("date", re.compile(r"\b(?:19|20)\d{2}\b"), 0),
    ("identifier", re.compile(r"\b(?=[A-Z0-9-]*\d)[A-Z0-9]{2,}-?\d{5,}\b|\b\d{6,}\b"), 0),
    ("name", re.compile(rf"(?i:\b{_PERSON})[ \t]*[:=][ \t]*({_ANY})"), 1),
    ("name", re.compile(rf"\b(?i:{_RELATIVE})[ \t]+((?:{_NAME})(?:[ \t]+(?:{_NAME}))?)"), 1),
    ("name", re.compile(rf"\b(?:{'|'.join(sorted(_GIVEN))})\b(?:[ \t]+(?:{_NAME}))*"), 0),
    ("name", re.compile(rf"\b(?i:drs?|prof|mrs|mr|ms)\.[ \t]+({_LETTER}[\w'’-]+)"), 1),
    (
        "name",
        re.compile(rf"\b(?i:{_TOLD})[ \t]+(?:the [\w ]{{3,20}}[ \t,]+)?((?:{_NAME})[ \t]+(?:{_NAME}))"),
        1,
    ),
)
# words that follow a colon or a title and are no name
_NO_NAME = frozenset(
    re.split(
        "[|]",
        "the|a|no|none|not|is|was|and|has|had|with|for|of|to|by|in|on|at|patient|normal|stable|unremarkable|see|"
        "as|negative|positive|male|female|unknown|yes|hasta|erkek|kadın|yok|var|ve|ile|bir",
    )
)


def identifiers(text: str, *, careful: bool = True) -> tuple[Identifier, ...]:
    """Return what may identify a person, in order and without overlap.

    Args:
        text: A report.
        careful: Recall first: years alone, ages of 90 and more, long numbers, names in small
            letters and names after words of communication count too.
    """
    found: list[Identifier] = []
    for kind, pattern, group in (*_PATTERNS, *(_CAREFUL if careful else ())):
        for match in pattern.finditer(text):
            start, end = match.span(group)
            if kind == "name":
                start = _name_start(text, start, end)
            if start < end:
                found.append(Identifier(kind, text[start:end], start, end))
    known = {word for i in found if i.kind == "name" for word in re.findall(rf"{_UPPER}\w{{2,}}", i.text)}
    if known := known - _TITLES:  # a name once found is taken out everywhere
        again = re.finditer(rf"\b(?:{'|'.join(map(re.escape, sorted(known)))})\b", text)
        found.extend(Identifier("name", match.group(), *match.span()) for match in again)
    return tuple(_apart(found))


def _name_start(text: str, start: int, end: int) -> int:
    """Return where a name begins behind words that are none ("Hasta Mehmet"); its end where none is."""
    for word in re.finditer(r"\S+", text[start:end]):
        if word.group().lower().strip(".,") not in _NO_NAME:
            plain = word.start() > 0 and not word.group()[0].isupper()
            return end if plain else start + word.start()
    return end


_TITLES = frozenset({"Prof", "Professor", "Doctor", "Nurse", "Doç", "Uzm", "Sayın", "Hemşire", "Teknisyen"})


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
