"""The finding vocabulary and the cards of the analyzers."""

from __future__ import annotations

from fastapi import APIRouter

from coread.server import translate
from coread.server.model_cards import CardJson, cards
from coread.server.schemas import Language, VocabularyEntry
from coread.server.site import CurrentReader, Site, TheSite
from coread.workflow import wording
from coread.workflow.models import site_entries
from coread.workflow.visibility import HiddenError

router = APIRouter(tags=["vocabulary"])


@router.get("/vocabulary")
def vocabulary(reader: CurrentReader, language: Language = "en") -> list[VocabularyEntry]:
    """Every finding that can be said, with its parent, in the language asked for."""
    return [translate.vocabulary_entry(term) for term in wording.vocabulary(language)]


@router.get("/models")
def models(site: TheSite, reader: CurrentReader) -> list[CardJson]:
    """The cards of all analyzers that are installed or imported, and what the site has decided about them."""
    return _cards(site)


@router.get("/models/{name}")
def model(name: str, site: TheSite, reader: CurrentReader) -> CardJson:
    """The card of one analyzer."""
    for card in _cards(site):
        if card.id == name:
            return card
    raise HiddenError


def _cards(site: Site) -> list[CardJson]:
    """Read anew at each question: thresholds and states change while the server runs."""
    entries = {} if site.models is None else site_entries(site.models)
    return cards(site.analyzers, entries)
