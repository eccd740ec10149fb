from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from coread.core import InstanceHeader
from coread.core.reading import Committed, Opened
from coread.errors import InputError
from coread.storage import AuditAnchor, Library

Header = Callable[..., InstanceHeader]
Execute = Callable[..., None]


@pytest.fixture
def execute(tmp_path: Path, url: str | None) -> Execute:
    """Runs statements over a connection of its own, as somebody with access to the database would."""

    def run(*statements: str, triggers: bool = True) -> None:
        if url is None:
            connection: Any = sqlite3.connect(tmp_path / "library" / "coread.db")
            if not triggers:
                names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
                statements = (*(f"DROP TRIGGER {name}" for (name,) in names.fetchall()), *statements)
        else:
            import psycopg

            connection = psycopg.connect(url)
            if not triggers:
                statements = ("SET session_replication_role = replica", *statements)
        try:
            with connection:
                for statement in statements:
                    connection.execute(statement)
        finally:
            connection.close()

    return run


def fill(library: Library, clock: Any, count: int = 6) -> None:
    for n in range(count):
        clock.forward(1)
        library.audit.append("ann", "study.viewed", f"1.2.{n}", {"from": "worklist", "no": str(n)})


def test_untouched_log_is_intact(library: Library, clock: Any) -> None:
    assert library.audit.verify().intact
    assert library.audit.anchor() == AuditAnchor(0, "0" * 64)
    fill(library, clock)
    check = library.audit.verify()
    assert check.intact
    assert check.count == 6
    assert check.anchor == library.audit.anchor()


def test_chain_can_be_computed_by_others(library: Library, clock: Any) -> None:
    """The digest is SHA-256 over a JSON list of the digest before, the number and the entry's words."""
    fill(library, clock, 3)
    digest = "0" * 64
    for seq, entry in enumerate(library.audit.page().items[::-1], start=1):
        detail = json.dumps(dict(entry.detail), sort_keys=True)
        words = (
            f'{{"action":"{entry.action}","actor":"{entry.actor}","at":"{entry.at.isoformat()}",'
            f'"detail":{json.dumps(detail)},"id":"{entry.id}","subject":"{entry.subject}"}}'
        )
        digest = hashlib.sha256(f'["{digest}",{seq},{words}]'.encode()).hexdigest()
    assert library.audit.anchor() == AuditAnchor(3, digest)


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'bob'",
        "action = 'study.deleted'",
        "subject = '1.3'",
        "at = '2020-01-01 00:00:00'",
        "detail = '{}'",
        "id = '00000000000000000000000000000000'",
        "digest = '" + "0" * 64 + "'",
    ],
)
def test_changed_entry_is_found(library: Library, clock: Any, execute: Execute, change: str) -> None:
    fill(library, clock)
    execute(f"UPDATE audit SET {change} WHERE seq = 3", triggers=False)
    check = library.audit.verify()
    assert not check.intact
    assert "entry 3 is not what was written" in check.problems[0]


@pytest.mark.parametrize("removed", [(1,), (3,), (6,), (5, 6), (1, 2, 3, 4, 5, 6)])
def test_removed_entries_are_found(
    library: Library, clock: Any, execute: Execute, removed: Sequence[int]
) -> None:
    fill(library, clock)
    numbers = ", ".join(map(str, removed))
    execute(f"DELETE FROM audit WHERE seq IN ({numbers})", triggers=False)
    assert not library.audit.verify().intact


def test_swapped_entries_are_found(library: Library, clock: Any, execute: Execute) -> None:
    fill(library, clock)
    execute(
        "UPDATE audit SET seq = 100 WHERE seq = 2",
        "UPDATE audit SET seq = 2 WHERE seq = 4",
        "UPDATE audit SET seq = 4 WHERE seq = 100",
        triggers=False,
    )
    assert not library.audit.verify().intact


def test_closed_gap_is_found(library: Library, clock: Any, execute: Execute) -> None:
    fill(library, clock)
    execute(
        "DELETE FROM audit WHERE seq = 3",
        *(f"UPDATE audit SET seq = {n - 1} WHERE seq = {n}" for n in (4, 5, 6)),
        "UPDATE audit_head SET length = 5",
        triggers=False,
    )
    assert not library.audit.verify().intact


def test_end_cut_off_with_the_head_is_found_by_an_anchor_kept_elsewhere(
    library: Library, clock: Any, execute: Execute
) -> None:
    fill(library, clock, 3)
    shorter = library.audit.anchor()
    fill(library, clock, 3)
    anchor = library.audit.anchor()
    assert library.audit.verify(shorter).intact
    execute(
        "DELETE FROM audit WHERE seq > 3",
        f"UPDATE audit_head SET length = 3, digest = '{shorter.digest}'",
        triggers=False,
    )
    assert library.audit.verify().intact  # nothing inside the database can tell
    assert not library.audit.verify(anchor).intact
    fill(library, clock, 3)  # nor when the log has grown to its length again
    assert not library.audit.verify(anchor).intact


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'bob' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT seq + 5, 'x', at, actor, action, subject, detail, digest FROM audit "
        "WHERE seq = 2",
        "UPDATE reading_event SET document = '{}'",
        "DELETE FROM reading_event",
    ],
)
def test_database_refuses_to_change_the_log(
    library: Library, header: Header, execute: Execute, statement: str
) -> None:
    library.instances.add(header(), "a" * 64, size=1)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    library.readings.append("1.2.3", "ann", Opened(at), expected=0)
    library.readings.append("1.2.3", "ann", Committed(at, ()), expected=1)
    with pytest.raises(Exception, match=r"only grows|grows by one"):
        execute(statement)
    assert library.audit.verify().intact


def test_sqlite_refuses_replacement(library: Library, clock: Any, execute: Execute, url: str | None) -> None:
    fill(library, clock, 3)
    if url is not None:
        with pytest.raises(Exception, match="only grows"):
            execute("TRUNCATE audit")
    else:
        with pytest.raises(sqlite3.IntegrityError, match="grows by one"):
            execute(
                "INSERT OR REPLACE INTO audit SELECT 2, 'x', at, 'bob', action, subject, detail, digest "
                "FROM audit WHERE seq = 2"
            )
    assert library.audit.verify().intact


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reading_event SET document = replace(document, 'Committed', 'Opened') WHERE version = 2",
        "DELETE FROM reading_event WHERE version = 2",
        "UPDATE reading_event SET reader = 'bob' WHERE version = 2",
        "INSERT INTO reading_event (study, reader, version, document, digest) "
        "SELECT study, reader, 3, document, digest FROM reading_event WHERE version = 2",
    ],
)
def test_log_vouches_for_the_reads(
    library: Library, header: Header, execute: Execute, statement: str
) -> None:
    library.instances.add(header(), "a" * 64, size=1)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    library.readings.append("1.2.3", "ann", Opened(at), expected=0)
    library.readings.append("1.2.3", "ann", Committed(at, ()), expected=1)
    assert library.audit.verify().intact
    execute(statement, triggers=False)
    problems = library.audit.verify().problems
    assert problems
    assert all("of the reading of 1.2.3" in problem for problem in problems)


def test_writers_at_the_same_time_make_one_chain(library: Library) -> None:
    def write(actor: str) -> None:
        for n in range(10):
            with library.transaction():
                library.audit.append(actor, "test.first", str(n))
                library.audit.append(actor, "test.second", str(n))

    threads = [threading.Thread(target=write, args=(f"a{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check = library.audit.verify()
    assert check.intact
    assert check.count == 80
    entries = library.audit.page(limit=100).items[::-1]
    for first, second in zip(
        entries[::2], entries[1::2], strict=True
    ):  # a transaction's entries stay together
        assert (first.actor, first.subject) == (second.actor, second.subject)
        assert (first.action, second.action) == ("test.first", "test.second")


def test_pages_go_back_in_time_and_can_be_narrowed(library: Library, clock: Any) -> None:
    fill(library, clock)
    library.audit.append("bob", "login", "bob")
    subjects: list[str] = []
    cursor = None
    while True:
        page = library.audit.page(limit=3, cursor=cursor)
        assert page.total == 7
        subjects += [e.subject for e in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert subjects == ["bob", *(f"1.2.{n}" for n in reversed(range(6)))]
    assert library.audit.page(actor="bob").total == 1
    assert library.audit.page(subject="1.2.4", action="study.viewed").total == 1
    assert library.audit.page(action="login", actor="ann").total == 0


def test_identifiers_tell_no_order(library: Library, clock: Any) -> None:
    fill(library, clock, 20)
    identifiers = [e.id for e in library.audit.page().items]
    assert len(set(identifiers)) == 20
    assert identifiers != sorted(identifiers)
    assert identifiers != sorted(identifiers, reverse=True)


def test_entry_needs_its_words(library: Library) -> None:
    with pytest.raises(InputError, match="actor, action and subject"):
        library.audit.append("", "login", "ann")
    with pytest.raises(InputError, match="is text"):
        library.audit.append("ann", "login", "ann", {"tries": 3})  # type: ignore[dict-item]
