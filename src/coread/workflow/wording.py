"""The words of reports and of the finding vocabulary: one catalogue for English and Turkish."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Literal

from babel.dates import format_date
from babel.numbers import format_decimal

from coread.core import CodedConcept
from coread.core import vocabulary as codes
from coread.language.packs import pack

Language = Literal["en", "tr"]

# code -> (English, Turkish), as within a sentence
_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "finding": ("abnormality", "anormallik"),
        "lung-opacity": ("lung opacity", "akciğer opasitesi"),
        "consolidation": ("consolidation", "konsolidasyon"),
        "233604007": ("pneumonia", "pnömoni"),
        "19242006": ("pulmonary edema", "pulmoner ödem"),
        "46621007": ("atelectasis", "atelektazi"),
        "lung-lesion": ("lung lesion", "akciğer lezyonu"),
        "lung-nodule": ("lung nodule", "akciğer nodülü"),
        "lung-mass": ("lung mass", "akciğer kitlesi"),
        "87433001": ("pulmonary emphysema", "pulmoner amfizem"),
        "lung-fibrosis": ("lung fibrosis", "akciğer fibrozisi"),
        "pleural": ("pleural abnormality", "plevral anormallik"),
        "60046008": ("pleural effusion", "plevral efüzyon"),
        "pleural-thick": ("pleural thickening", "plevral kalınlaşma"),
        "pleural-plaque": ("pleural plaque", "plevral plak"),
        "36118008": ("pneumothorax", "pnömotoraks"),
        "8186001": ("cardiomegaly", "kardiyomegali"),
        "30746006": ("lymphadenopathy", "lenfadenopati"),
        "59282003": ("pulmonary embolism", "pulmoner emboli"),
        "84089009": ("hiatal hernia", "hiatal herni"),
        "125605004": ("fracture", "kırık"),
        "1386000": ("intracranial hemorrhage", "intrakraniyal kanama"),
        "422504002": ("ischemic stroke", "iskemik inme"),
        "wm-lesion": ("white matter lesion", "beyaz cevher lezyonu"),
        "breast-lesion": ("breast lesion", "meme lezyonu"),
        "breast-mass": ("breast mass", "meme kitlesi"),
        "breast-suspicion": ("breast mass suspicious of malignancy", "malignite şüpheli meme kitlesi"),
        "breast-calc": ("breast calcification", "meme kalsifikasyonu"),
        "adrenal-lesion": ("adrenal hyperplasia or mass", "adrenal hiperplazi veya kitle"),
        "other": ("other finding", "diğer bulgu"),
        "24028007": ("right", "sağ"),
        "7771000": ("left", "sol"),
        "51440002": ("bilateral", "bilateral"),
        "816094009": ("thorax", "toraks"),
        "39607008": ("lung", "akciğer"),
        "3341006": ("right lung", "sağ akciğer"),
        "44029006": ("left lung", "sol akciğer"),
        "89187006": ("airways", "hava yolları"),
        "80891009": ("heart", "kalp"),
        "45653009": ("upper lobe of lung", "akciğer üst lobu"),
        "72481006": ("middle lobe of right lung", "sağ akciğer orta lobu"),
        "90572001": ("lower lobe of lung", "akciğer alt lobu"),
        "12738006": ("brain", "beyin"),
        "76752008": ("breast", "meme"),
        "272673000": ("bone", "kemik"),
        "118565006": ("volume", "hacim"),
        "81827009": ("diameter", "çap"),
        "410668003": ("length", "uzunluk"),
        "103339001": ("long axis", "uzun eksen"),
        "103340004": ("short axis", "kısa eksen"),
        "42798000": ("area", "alan"),
        "lung-density": ("mean lung density", "ortalama akciğer dansitesi"),
        "laa-950": ("low attenuation area below -950 HU", "-950 HU altı düşük atenüasyon alanı"),
        "perc15": ("15th percentile of lung density", "akciğer dansitesinin 15. yüzdeliği"),
    }
)
_TEMPLATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "present": ("{finding}{details}.", "{finding}{details} izlendi."),
        "absent": ("No {finding}{details}.", "{finding}{details} saptanmadı."),
        "uncertain": ("Possible {finding}{details}.", "Olası {finding}{details}."),
        "historical": ("Known from before: {finding}{details}.", "Önceden bilinen {finding}{details}."),
        "measured": ("Measured for {finding}: {numbers}.", "{finding} için ölçüldü: {numbers}."),
        "number": ("{concept}: {number}.", "{concept}: {number}."),
        "within": ("{low} to {high}", "{low} ile {high} arası"),
        "exam": ("{what}.", "{what}."),
        "technique": ("{modalities}{description}.", "{modalities}{description}."),
        "compared": ("Compared with {studies}.", "Karşılaştırma: {studies}."),
        "not_compared": ("No earlier study here.", "Burada önceki inceleme yok."),
        "nothing": ("No finding was recorded.", "Bulgu kaydedilmedi."),
        "simulated": ("The images are simulated.", "Görüntüler simülasyondur."),
        "new": ("new", "yeni"),
        "larger": ("larger than before", "öncekinden büyük"),
        "smaller": ("smaller than before", "öncekinden küçük"),
        "unchanged": ("unchanged", "değişmemiş"),
        "resolved": ("resolved", "kaybolmuş"),
    }
)
_TITLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "exam": ("Exam", "İnceleme"),
        "indication": ("Indication", "Endikasyon"),
        "technique": ("Technique", "Teknik"),
        "comparison": ("Comparison", "Karşılaştırma"),
        "findings": ("Findings", "Bulgular"),
        "impression": ("Impression", "Sonuç"),
        "recommendations": ("Recommendations", "Öneriler"),
        "communication": ("Communication", "Bildirim"),
        "dose": ("Dose", "Doz"),
    }
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_PARTS = re.compile(r"(, |; |: )")
# findings that readers deny most often
_QUICK_NO = ("finding", "60046008", "36118008", "233604007", "30746006", "125605004")
_CHEST = ("CR", "CT", "DX")
_MODALITIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "30746006": ("CR", "CT", "DX", "MR", "PT"),
        "59282003": ("CT",),
        "125605004": ("CR", "CT", "DX", "MR"),
        "1386000": ("CT", "MR"),
        "422504002": ("CT", "MR"),
        "wm-lesion": ("MR",),
        "breast-lesion": ("MG", "MR", "US"),
        "breast-mass": ("MG", "MR", "US"),
        "breast-calc": ("MG",),
        "adrenal-lesion": ("CT", "MR"),
        "finding": (),
        "other": (),
    }
)


@dataclass(frozen=True, slots=True)
class Term:
    """A finding of the vocabulary in one language.

    Attributes:
        concept: Its code.
        parent: The finding it is a kind of, or None.
        words: In the language.
        quick_no: Whether it belongs to those that are denied with one key.
        modalities: Where it is looked for; empty for all.
    """

    concept: CodedConcept
    parent: CodedConcept | None
    words: str
    quick_no: bool
    modalities: tuple[str, ...]


def words(concept: CodedConcept, language: Language) -> str:
    """Return a concept as it stands within a sentence; in its own words where the catalogue has none.

    Examples:
        >>> words(codes.PLEURAL_EFFUSION, "tr")
        'plevral efüzyon'
    """
    known = _WORDS.get(concept.value)
    if known is not None:
        return known[language == "tr"]
    # the words of the report text's own findings, where it knows this one
    return pack(language).terms.get(concept.meaning.casefold(), concept.meaning)


def template(name: str, language: Language) -> str:
    """Return a sentence with gaps."""
    return _TEMPLATES[name][language == "tr"]


def title(section: str, language: Language) -> str:
    """Return the title of a section of a report."""
    return _TITLES[section][language == "tr"]


def number(value: float, language: Language) -> str:
    """Return a number to four significant digits as the language writes it.

    Examples:
        >>> number(17.5, "tr"), number(17.5, "en")
        ('17,5', '17.5')
    """
    return str(format_decimal(float(f"{value:.4g}"), format="0.####", locale=language))


def day(value: date, language: Language) -> str:
    """Return a date as the language writes it."""
    return str(format_date(value, format="long", locale="en_GB" if language == "en" else language))


def sentence(text: str, language: Language) -> str:
    """Return words that begin with a capital; Turkish has two kinds of i.

    Examples:
        >>> sentence("intrakraniyal kanama", "tr")
        'İntrakraniyal kanama'
    """
    first = "İ" if language == "tr" and text[:1] == "i" else text[:1].upper()
    return first + text[1:]


def advice(text: str, language: Language) -> str:
    """Return words of a guideline or a differential in a language.

    What the catalogue does not have as a whole is said part by part, and a part that it does not have stays
    in English. Underscores of identifiers are spaces.

    Examples:
        >>> advice("solid, single, 6-8 mm, high risk", "tr")
        'solid, tek, 6-8 mm, yüksek risk'
    """
    text = text.replace("_", " ")
    if language == "en":
        return text
    whole = _said(text)
    if whole is not None:
        return whole
    parts = _PARTS.split(text)
    return "".join(part if n % 2 else _said(part) or part for n, part in enumerate(parts))


def _said(text: str) -> str | None:
    known = _advice()
    found = known.get(text) or known.get(_NUMBER.sub("#", text))
    if found is None:
        return None
    numbers = iter(_NUMBER.findall(text))
    return re.sub("#", lambda _: next(numbers).replace(".", ","), found)


@lru_cache(maxsize=1)
def _advice() -> Mapping[str, str]:
    content = resources.files("coread.workflow").joinpath("advice_tr.toml").read_text("utf-8")
    tables = tomllib.loads(content)
    return {text.replace("_", " "): said for table in tables.values() for text, said in table.items()}


def vocabulary(language: Language) -> tuple[Term, ...]:
    """Return every finding that can be said, the root first."""
    return tuple(
        Term(
            concept,
            codes.parent(concept),
            sentence(words(concept, language), language),
            concept.value in _QUICK_NO,
            _MODALITIES.get(concept.value, _CHEST),
        )
        for concept in codes.findings()
    )
