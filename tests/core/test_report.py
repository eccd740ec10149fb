"""A report: nobody signs what nobody stands behind, on whichever path the signature comes."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from coread.core import (
    Addendum,
    Dictation,
    Imported,
    Model,
    Reader,
    Report,
    Section,
    Sentence,
    Signature,
    Template,
    codec,
)
from coread.core.report import Edit, origin_name
from coread.errors import DataError, InputError

AT = datetime(2026, 1, 1, tzinfo=UTC)
ADA = Reader("ada")
SIGNED = Signature(ADA, AT)
MODEL = Model("Nodules", "1.0", "ab", "second-reader")
OTHERS = (MODEL, Template("chest_ct", "1"), Imported("old.txt"))


def report(sentence: Sentence, signature: Signature | None = None) -> Report:
    return Report("1.2", "en", (Section("findings", (sentence,)),), signature=signature)


@pytest.mark.parametrize("origin", OTHERS)
def test_what_its_reader_did_not_write_is_signed_only_when_accepted(origin: Model | Template) -> None:
    bare = Sentence("A nodule.", origin)
    accepted = replace(bare, accepted_by=ADA, accepted_at=AT)
    draft = report(bare)  # a draft may hold it
    with pytest.raises(InputError, match=f"nobody accepted this sentence of {origin_name(origin)}"):
        report(bare, SIGNED)
    with pytest.raises(InputError, match="nobody accepted"):
        replace(draft, signature=SIGNED)
    signed = report(accepted, SIGNED)
    with pytest.raises(InputError, match="nobody accepted"):
        replace(signed, sections=draft.sections)
    with pytest.raises(InputError, match="nobody accepted"):
        replace(signed, sections=draft.sections, addenda=(Addendum("More.", SIGNED),))
    # a stored document that was tampered with is refused as well
    document, arrays = codec.encode(signed)
    words = json.dumps(document)
    key = json.dumps({"accepted_by": codec.encode(accepted)[0]["value"]["accepted_by"]})[1:-1]
    assert key in words
    with pytest.raises(DataError, match="nobody accepted"):
        codec.decode(json.loads(words.replace(key, '"accepted_by": null')), arrays)


def test_everything_of_a_sentence_comes_back() -> None:
    sentence = Sentence(
        "Küçük plevral efüzyon.",
        Template("chest_ct", "1"),
        ("text-1",),
        accepted_by=ADA,
        accepted_at=AT,
        edits=(Edit(ADA, AT, "Plevral efüzyon saptanmadı."),),
        span=(10, 32),
    )
    dictation = Dictation("Bulgular: Küçük plevral efüzyon.", "tr", (Template("chest_ct", "1"),))
    before = replace(report(sentence, SIGNED), dictation=dictation)
    document, arrays = codec.encode(before)
    after = codec.decode(json.loads(json.dumps(document)), arrays)
    assert after.sections == before.sections
    assert after.dictation == dictation
    assert pickle.loads(pickle.dumps(before)).sections == before.sections
    changed = json.loads(json.dumps(document).replace("Plevral ef\\u00fczyon saptanmad", "Efüzyon saptanmad"))
    assert codec.decode(changed, arrays).sections != before.sections


def test_a_report_of_an_earlier_version_is_read() -> None:
    """Sentences were once kept without time, edits and place."""
    document, arrays = codec.encode(report(Sentence("A nodule.", MODEL, (), ADA), SIGNED))
    sentence = document["value"]["sections"][0]["sentences"][0]
    for name in ("accepted_at", "edits", "span"):
        del sentence[name]
    del document["value"]["dictation"]
    (section,) = codec.decode(document, arrays).sections
    assert section.sentences[0].accepted_by == ADA
    assert section.sentences[0].span is None
