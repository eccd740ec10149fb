"""The finding vocabulary and the cards of the analyzers."""

from __future__ import annotations

from fastapi import APIRouter

from coread.server import translate
from coread.server.schemas import CardJson, Language, VocabularyEntry
from coread.server.site import CurrentReader, TheSite
from coread.workflow import wording
from coread.workflow.visibility import HiddenError

router = APIRouter(tags=["vocabulary"])


@router.get("/vocabulary")
def vocabulary(reader: CurrentReader, language: Language = "en") -> list[VocabularyEntry]:
    """Every finding that can be said, with its parent, in the language asked for."""
    return [translate.vocabulary_entry(term) for term in wording.vocabulary(language)]


@router.get("/models")
def models(site: TheSite, reader: CurrentReader) -> list[CardJson]:
    """The cards of all analyzers that are installed."""
    return [translate.card(registered) for registered in site.analyzers]


@router.get("/models/{name}")
def model(name: str, site: TheSite, reader: CurrentReader) -> CardJson:
    """The card of one analyzer."""
    for registered in site.analyzers:
        if registered.name == name:
            return translate.card(registered)
    raise HiddenError
