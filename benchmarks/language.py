"""Report text: quality and speed, beside medspaCy and negspacy where they are installed.

    python benchmarks/language.py --data ../shared/data/reports
    python benchmarks/language.py --peers     # with spacy, medspacy, negspacy in this environment

Negation and history on the NegEx sentences, template reports after realistic edits, structure in reports a
second (one process, best of five). The peers do negation alone, on spans that our own matcher found.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coread.language import assert_phrase, structure

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "reports"
Tag = Callable[[str, list[tuple[int, int]]], list[bool]]


def sentences(data: Path) -> list[dict[str, Any]]:
    """Return the annotated sentences."""
    return [json.loads(line) for line in (data / "negex.jsonl").read_text("utf-8").splitlines()]


def place(row: dict[str, Any]) -> tuple[int, int] | None:
    match = re.search(r"\s+".join(map(re.escape, row["phrase"].split())), row["sentence"], re.IGNORECASE)
    return match.span() if match else None


def f1(pairs: list[tuple[bool, bool]]) -> str:
    both = sum(a and b for a, b in pairs)
    said, true = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    return f"P {both / max(said, 1):.3f} R {both / max(true, 1):.3f} F1 {2 * both / max(said + true, 1):.4f}"


def quality(rows: list[dict[str, Any]], peers: dict[str, Tag]) -> None:
    """Print negation (and ours: history) of every system."""
    negated, past = [], []
    for row in rows:
        where = place(row)
        said = assert_phrase(row["sentence"], *where) if where else None
        negated.append((bool(said and said.negated), row["negation"] == "Negated"))
        past.append((bool(said and said.historical), row["temporality"] == "Historical"))
    print(f"{'coread':20} negation {f1(negated)}   history {f1(past)}")
    for name, tag in peers.items():
        pairs = []
        for row in rows:
            where = place(row)
            pairs.append((bool(where) and tag(row["sentence"], [where])[0], row["negation"] == "Negated"))
        print(f"{name:20} negation {f1(pairs)}")


def edits() -> None:
    """Print finding F1 (with status and side) of template reports: as written, edited, by kind of edit."""
    sys.path.insert(0, str(ROOT))
    from tests.language.edits import KINDS, score

    for language in ("en", "tr"):
        plain, edited = score(language, range(8), frozenset()), score(language, range(1000, 1012))
        print(f"template reports, {language}: as written {plain:.3f}, edited {edited:.3f}")
        each = [f"{kind} {score(language, range(2000, 2003), frozenset({kind})):.3f}" for kind in KINDS]
        print("   ", ", ".join(each))


def speed(rows: list[dict[str, Any]], peers: dict[str, Tag], words: int) -> None:
    """Print reports a second."""
    stream = " ".join(row["sentence"].strip() for row in rows).split()
    reports = ["FINDINGS: " + " ".join(stream[i : i + words]) for i in range(0, len(stream) - words, words)]

    def best(work: Callable[[], object]) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return len(reports) / min(times)

    structure(reports[0], "en")
    print(f"{len(reports)} reports of {words} words")
    print(f"{'coread, all of it':20} {best(lambda: [structure(r, 'en') for r in reports]):8.0f} reports/s")
    spans = [[(f.start, f.end) for f in structure(r, "en").findings] for r in reports]
    for name, tag in peers.items():
        rate = best(lambda tag=tag: [tag(r, s) for r, s in zip(reports, spans, strict=True)])
        print(f"{name:20} {rate:8.0f} reports/s (negation only)")


def spacy_peers() -> dict[str, Tag]:
    """Return the peers that can be imported; a line for each that can't."""
    peers: dict[str, Tag] = {}

    def document(nlp: Any, text: str, spans: list[tuple[int, int]]) -> tuple[Any, list[int]]:
        doc = nlp.make_doc(text)
        entities, index = [], []
        for start, end in spans:
            span = doc.char_span(start, end, label="FINDING", alignment_mode="expand")
            free = span is not None and all(span.start >= e.end or span.end <= e.start for e in entities)
            index.append(len(entities) if free else -1)
            if free:
                entities.append(span)
        doc.ents = entities
        for _, pipe in nlp.pipeline:
            doc = pipe(doc)
        return doc, index

    try:
        import medspacy
        from loguru import logger

        logger.remove()  # PyRuSH writes a line for every sentence
        medspacy_nlp = medspacy.load(medspacy_enable={"medspacy_pyrush", "medspacy_context"})

        def by_medspacy(text: str, spans: list[tuple[int, int]]) -> list[bool]:
            doc, index = document(medspacy_nlp, text, spans)
            return [i >= 0 and bool(doc.ents[i]._.is_negated) for i in index]

        peers["medspacy"] = by_medspacy
    except ImportError as error:
        print(f"medspacy: left out, {error}")
    try:
        import negspacy.negation  # noqa: F401
        import spacy
        from negspacy.termsets import termset

        neg = spacy.blank("en")
        neg.add_pipe("sentencizer")
        neg.add_pipe(
            "negex", config={"neg_termset": termset("en_clinical").get_patterns(), "chunk_prefix": ["no"]}
        )

        def by_negspacy(text: str, spans: list[tuple[int, int]]) -> list[bool]:
            doc, index = document(neg, text, spans)
            return [i >= 0 and bool(doc.ents[i]._.negex) for i in index]

        peers["negspacy"] = by_negspacy
    except ImportError as error:
        print(f"negspacy: left out, {error}")
    return peers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--words", type=int, default=40)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    rows = sentences(options.data)
    peers = spacy_peers() if options.peers else {}
    quality(rows, peers)
    edits()
    speed(rows, peers, options.words)


if __name__ == "__main__":
    main()
