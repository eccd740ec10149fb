"""Rule packs: a third language needs a file and no code; what is wrong with a pack is said."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

import pytest

from coread.errors import InputError
from coread.language import packs, structure
from coread.language.packs import expand, load_pack

GERMAN = """
language = "de"
name = "Deutsch"
detect = ["kein", "keine", "der", "die"]
[morphology]
suffixes = [["se", ""], ["e", ""], ["en", ""], ["s", ""]]
[sections]
findings = ["befund"]
impression = ["beurteilung"]
[[cues]]
kind = "negated"
side = "before"
terms = ["kein", "keine", "ohne"]
[[cues]]
kind = "barrier"
terms = ["aber"]
[sites.part]
"lower lobe" = ["unterlappen"]
[sites.organ]
liver = ["leber"]
[lateralities]
left = ["linker", "linken", "links"]
right = ["rechter", "rechten", "rechts"]
[severities]
small = ["kleiner"]
[changes]
new = ["neuer", "neues"]
[qualifiers]
acute = ["akut"]
[actions]
ask = ["empfohlen"]
deny = []
vague = []
[exams]
CT = ["ct"]
[exam_regions]
chest = ["thorax"]
[time]
month = ["monat", "monaten"]
join = ["in"]
[measures]
prior = ["vormals"]
[communicated]
terms = ["telefonisch"]
[grammar]
links = ["im"]
joins = ["und", "oder", ","]
[findings]
"pleural effusion" = ["pleuraerguss"]
pneumothorax = ["pneumothorax"]
nodule = ["rundherd"]
[[states]]
finding = "hepatomegaly"
of = ["leber"]
abnormal = ["vergrößert"]
normal = ["normal groß"]
"""


def test_a_third_language_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "de.toml"
    path.write_text(GERMAN, encoding="utf-8")
    load_pack(path)
    try:
        text = "Befund: Kein Pneumothorax oder Pleuraerguss. "
        text += "Rundherd im rechten Unterlappen, 8 mm, vormals 6 mm."
        report = structure(text, "de")
        said = [(f.finding, f.status, f.laterality, f.location) for f in report.findings]
        assert said == [
            ("pneumothorax", "absent", None, None),
            ("pleural effusion", "absent", None, None),
            ("nodule", "present", "right", "lower lobe"),
        ]
        assert (report.measurements[0].values_mm, report.measurements[0].prior_mm) == ((8.0,), (6.0,))
        assert structure("CT in 3 Monaten empfohlen.", "de").recommendations[0].min_months == 3
        assert structure("Die Leber ist vergrößert.", "de").findings[0].finding == "hepatomegaly"
    finally:
        packs._packs.pop("de", None)


def test_an_incomplete_pack_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "xx.toml"
    path.write_text('language = "xx"\n', encoding="utf-8")
    with pytest.raises(InputError, match="not complete"):
        load_pack(path)
    path.write_text("language = \n", encoding="utf-8")
    with pytest.raises(InputError, match="no rule pack"):
        load_pack(path)


def test_the_page_names_every_table_of_a_pack() -> None:
    page = (Path(__file__).parents[2] / "docs" / "report-text.md").read_text("utf-8")
    for language in packs.languages():
        path = resources.files("coread.language").joinpath("packs", f"{language}.toml")
        table = tomllib.loads(path.read_text("utf-8"))
        nested = [name for name in table if not isinstance(table[name], dict | list)]
        assert all(f"`{name}`" in page for name in nested)
        assert all(f"[{name}" in page for name in table if isinstance(table[name], dict))
        assert all(f"`{key}`" in page or f"[morphology.{key}]" in page for key in table["morphology"])
        assert all(f"`{key}`" in page for key in (*table["measures"], *table["grammar"]))


def test_marks_spellings_and_slips_are_a_matter_of_the_pack(tmp_path: Path) -> None:
    added = """suffixes = [["se", ""], ["e", ""], ["en", ""], ["s", ""]]
fold = [["ä", "a"], ["ö", "o"], ["ü", "u"], ["ß", "s"]]
spellings = [["ph", "f"]]
keep = "pneumothorac"
"""
    path = tmp_path / "de.toml"
    path.write_text(
        GERMAN.replace('suffixes = [["se", ""], ["e", ""], ["en", ""], ["s", ""]]\n', added), encoding="utf-8"
    )
    load_pack(path)
    try:
        for text, name in (
            ("Die Leber ist vergrossert.", "hepatomegaly"),
            ("Die Leber ist vergroßert.", "hepatomegaly"),
            ("Kein Pneumothroax.", "pneumothorax"),
            ("Kein Pneumothorac.", None),
        ):
            assert [f.finding for f in structure(text, "de").findings] == ([name] if name else []), text
    finally:
        packs._packs.pop("de", None)


def test_alternatives_and_options() -> None:
    assert expand("(a|b) c") == ["a c", "b c"]
    assert expand("(a|) (b|c)") == ["a b", "a c", "b", "c"]


def test_every_urgent_finding_can_be_said_in_every_language() -> None:
    critical = packs.concepts().critical
    for language in packs.languages():
        path = resources.files("coread.language").joinpath("packs", f"{language}.toml")
        known = tomllib.loads(path.read_text("utf-8"))["findings"]
        category_one = {name for name, category in critical.items() if category == 1}
        assert not category_one - set(known), language
