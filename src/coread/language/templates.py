"""Report templates and sentences: from structure to words, in our own wording."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from coread.errors import InputError
from coread.language.packs import pack
from coread.language.values import TextFinding

Language = Literal["en", "tr"]
_COLUMN: dict[str, int] = {"en": 0, "tr": 1}
_HEADINGS = {
    "en": ("Technique", "Comparison", "Findings", "Impression", "None."),
    "tr": ("Teknik", "Karşılaştırma", "Bulgular", "Sonuç", "Yok."),
}
_CHANGES = {
    "en": {"new": "new", "increased": "increased", "decreased": "decreased", "stable": "stable"},
    "tr": {"new": "yeni", "increased": "artmış", "decreased": "azalmış", "stable": "stabil"},
}


@dataclass(frozen=True, slots=True)
class Template:
    """A template of one kind of examination.

    Attributes:
        name: Such as ``chest_ct``.
        modality: DICOM modality.
        title: By language.
        technique: One sentence, by language.
        normal: Statements of a normal examination, by language.
        version: Of the templates.
    """

    name: str
    modality: str
    title: dict[str, str]
    technique: dict[str, str]
    normal: dict[str, tuple[str, ...]]
    version: str


@lru_cache(maxsize=1)
def templates() -> dict[str, Template]:
    """Return every template by name."""
    path = resources.files("coread.language").joinpath("templates.toml")
    return _read(tomllib.loads(path.read_text("utf-8")))


def load_templates(path: Path) -> tuple[str, ...]:
    """Read templates of your own and make them known beside ours; return their names.

    A file has a ``version`` and a table for each template: ``modality``, ``title``, ``technique`` and
    ``normal``, each wording in English and in Turkish.

    Raises:
        InputError: It is no TOML, lacks a table, or has a statement that names no finding.
    """
    try:
        read = _read(tomllib.loads(path.read_text("utf-8")))
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} has no templates: {error!r}",
            "expected version, and for each template modality, title, technique and normal in two languages",
            "compare with the page on report text",
        ) from error
    for form in read.values():
        for language, lines in form.normal.items():
            mute = [line for line in lines if not _named(line, language)]
            if mute:
                raise InputError(
                    f"template {form.name}: no finding is read from {mute[0]!r}",
                    "expected statements that name a finding of the rule pack",
                    "word it with a term of the pack, or add the term",
                )
    templates().update(read)
    return tuple(read)


def _read(table: dict[str, Any]) -> dict[str, Template]:
    version = table.pop("version")
    return {
        name: Template(
            name,
            entry["modality"],
            dict(zip(_COLUMN, entry["title"], strict=True)),
            dict(zip(_COLUMN, entry["technique"], strict=True)),
            {
                language: tuple(pair[column] for pair in entry["normal"])
                for language, column in _COLUMN.items()
            },
            version,
        )
        for name, entry in table.items()
    }


def template(name: str) -> Template:
    """Return a template.

    Raises:
        InputError: There is none of this name.
    """
    found = templates().get(name)
    if found is None:
        raise InputError(
            f"no template {name!r}", f"expected one of {', '.join(templates())}", "check the name"
        )
    return found


def write(
    name: str,
    findings: Sequence[TextFinding],
    language: Language = "en",
    *,
    sizes_mm: Sequence[tuple[float, ...]] = (),
    comparison: str = "",
) -> str:
    """Return a report in plain text: the findings, and the normal statements that none of them touches.

    Args:
        name: Of a template.
        findings: In reading order.
        language: ``en`` or ``tr``.
        sizes_mm: Diameters of each finding, as many as findings or none at all; empty for none.
        comparison: Words on the prior; "none" where empty.

    Raises:
        InputError: There is no such template, or sizes and findings differ in number.
    """
    form = template(name)
    if sizes_mm and len(sizes_mm) != len(findings):
        raise InputError(
            f"{len(sizes_mm)} sizes for {len(findings)} findings",
            "expected one of each",
            "give () where there is none",
        )
    technique, compared, said, impression, none = _HEADINGS[language]
    sizes = sizes_mm or ((),) * len(findings)
    sentences = [sentence(f, language, size_mm=size) for f, size in zip(findings, sizes, strict=True)]
    touched = {finding.finding for finding in findings}
    sentences += [line for line in form.normal[language] if touched.isdisjoint(_named(line, language))]
    final = [
        sentence(f, language, size_mm=size)
        for f, size in zip(findings, sizes, strict=True)
        if f.status in ("present", "uncertain")
    ]
    parts = [
        form.title[language],
        f"{technique}:\n{form.technique[language]}",
        f"{compared}:\n{comparison or none}",
        f"{said}:\n" + "\n".join(sentences),
    ]
    if final:
        parts.append(f"{impression}:\n" + "\n".join(final))
    return "\n\n".join(parts)


@lru_cache(maxsize=1024)
def _named(line: str, language: str) -> frozenset[str]:
    from coread.language.engine import structure

    return frozenset(finding.finding for finding in structure(line, language).findings)


def sentence(finding: TextFinding, language: Language = "en", *, size_mm: tuple[float, ...] = ()) -> str:
    """Return one sentence that states a finding; `structure` reads the same finding from it.

    Examples:
        >>> from coread.language import structure
        >>> (found,) = structure("Right upper lobe nodule.").findings
        >>> sentence(found, size_mm=(8.0,)), sentence(found, "tr", size_mm=(8.0,))
        ('8 mm nodule in the right upper lobe.', 'Sağ üst lob yerleşimli 8 mm nodül izlendi.')
    """
    rules = pack(language)
    word = rules.terms.get(finding.finding, finding.finding)
    side = rules.sides.get(finding.laterality or "", "")
    place = " ".join(rules.places.get(p, p) for p in (finding.location,) if p)
    size = " x ".join(f"{v:g}" for v in size_mm) + " mm" if size_mm else ""
    change = _CHANGES[language].get(finding.change or "", "")
    words = _english if language == "en" else _turkish
    text = words(finding.status, word, side, place, size, change)
    first = text[:1]
    capital = "İ" if language == "tr" and first == "i" else first.upper()
    return f"{capital}{text[1:]}."


def _join(*words: str) -> str:
    return " ".join(word for word in words if word)


def _english(status: str, word: str, side: str, place: str, size: str, change: str) -> str:
    where = f"in the {_join(side, place)}" if place else ""
    core = _join(change, size, "" if place else side, word, where)
    return {"absent": "no ", "uncertain": "possible ", "historical": "history of "}.get(status, "") + core


def _turkish(status: str, word: str, side: str, place: str, size: str, change: str) -> str:
    where = _join(side, place, "yerleşimli" if place else "")
    core = _join(where, change, size, word)
    if status == "uncertain":
        return f"olası {core}"
    return core + {"absent": " saptanmadı", "historical": " öyküsü"}.get(status, " izlendi")


def html(name: str, language: Language = "en") -> str:
    """Return a template as HTML in the manner of IHE Management of Radiology Report Templates.

    References:
        IHE Radiology, Management of Radiology Report Templates (MRRT), Rev. 1.2.
    """
    form = template(name)
    technique, compared, said, impression, _ = _HEADINGS[language]
    sections = (
        (technique, form.technique[language]),
        (compared, ""),
        (said, "\n".join(form.normal[language])),
        (impression, ""),
    )
    body = "\n".join(
        f'<section data-section-name="{escape(title)}">\n<header class="level1">{escape(title)}</header>\n'
        f'<p><textarea name="{escape(title)}" data-field-type="TEXTAREA">{escape(words)}</textarea></p>\n'
        "</section>"
        for title, words in sections
    )
    title = escape(form.title[language])
    about = {
        "identifier": f"coread:{name}:{form.version}",
        "language": language,
        "type": "IMAGE_REPORT_TEMPLATE",
        "publisher": "CoRead",
        "license": "Apache-2.0",
    }
    metas = "\n".join(f'<meta name="dcterms.{key}" content="{value}">' for key, value in about.items())
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"{metas}\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
