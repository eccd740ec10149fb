from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from coread.core import FileEntry, InstanceHeader
from coread.errors import InputError, TransportError
from coread.storage import Library, content_digest

Header = Callable[..., InstanceHeader]


def test_library_is_a_folder_with_a_database_and_objects(tmp_path: Path) -> None:
    with Library.open(tmp_path / "new" / "library") as library:
        assert (library.folder / "coread.db").is_file()
        assert (library.folder / "objects").is_dir()
        check = library.start_check
        assert check is not None
        assert (check.missing, check.orphans) == ((), ())
    with sqlite3.connect(tmp_path / "new" / "library" / "coread.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_was_kept_is_there_after_opening_again(tmp_path: Path, header: Header) -> None:
    with Library.open(tmp_path) as library:
        digest = library.objects.put(b"pixels")
        library.instances.add(header(), digest, size=6)
    with Library.open(tmp_path) as library:
        stored = library.instances.find(header().instance)
        assert stored is not None
        assert library.objects.get(stored.digest) == b"pixels"


def test_start_removes_what_nobody_was_told_of(tmp_path: Path, header: Header) -> None:
    with Library.open(tmp_path) as library:
        kept = {
            "instance": library.objects.put(b"instance"),
            "quarantined": library.objects.put(b"quarantined"),
            "upload": library.objects.put(b"upload that waits for its job"),
        }
        library.instances.add(header(), kept["instance"], size=8)
        entry = FileEntry(path="a", role="quarantined", reason="other pixels")
        library.intake.record(entry, kept["quarantined"])
        library.jobs.enqueue("intake", "k", {"files": [{"name": "a.dcm", "object": kept["upload"]}]})
        orphan = library.objects.put(b"put, but the process ended before it was indexed")
        (tmp_path / "objects" / "tmp" / "half").write_bytes(b"half")
    with Library.open(tmp_path) as library:
        check = library.start_check
        assert check is not None
        assert check.orphans == (orphan,)
        assert (check.missing, check.half_written, check.removed) == ((), 1, True)
        assert set(library.objects.digests()) == set(kept.values())
        assert library.objects.half_written() == 0


def test_upload_is_free_when_its_job_is_done(tmp_path: Path) -> None:
    with Library.open(tmp_path) as library:
        digest = library.objects.put(b"upload")
        job = library.jobs.enqueue("intake", "k", {"objects": [digest]})
        library.jobs.claim("w", 30)
        assert library.check().orphans == ()
        library.jobs.finish(job.id, "w")
        assert library.check().orphans == (digest,)


def test_missing_file_is_an_error_to_show(
    tmp_path: Path, header: Header, caplog: pytest.LogCaptureFixture
) -> None:
    with Library.open(tmp_path) as library:
        digest = library.objects.put(b"pixels")
        library.instances.add(header(), digest, size=6)
        library.objects.remove(digest)
    with caplog.at_level(logging.ERROR), Library.open(tmp_path) as library:
        assert library.start_check is not None
        assert library.start_check.missing == (digest,)
        assert library.instances.find(header().instance) is not None
    assert digest in caplog.text
    assert "Doe" not in caplog.text


def test_only_the_first_to_open_cleans_up(tmp_path: Path) -> None:
    with Library.open(tmp_path) as first:
        digest = first.objects.put(b"on its way into the index")
        with Library.open(tmp_path) as second:
            assert second.start_check is None
            code = f"from pathlib import Path; from coread.storage import Library; \
                print(Library.open(Path({str(tmp_path)!r})).start_check)"
            ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
            assert ran.stdout.strip() == "None"
        assert digest in first.objects


def test_many_may_open_a_new_library_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    gate = threading.Barrier(4)

    def open_it() -> None:
        gate.wait()
        try:
            with Library.open(tmp_path) as library:
                library.audit.append("ann", "login", "ann")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Library.open(tmp_path) as library:
        check = library.audit.verify()
        assert (check.count, check.problems) == (4, ())


def test_transaction_joins_the_stores(library: Library, header: Header) -> None:
    with library.transaction():
        library.instances.add(header(), "a" * 64, size=1)
        with library.transaction():
            library.audit.append("ann", "intake.added", "1.2.3")
        assert library.instances.studies().total == 1
    assert library.audit.page().total == 1


def test_transactions_of_threads_are_their_own(library: Library, header: Header) -> None:
    written, looked = threading.Event(), threading.Event()
    seen: list[int] = []

    def look() -> None:
        written.wait(10)
        seen.append(library.instances.studies().total)
        looked.set()

    thread = threading.Thread(target=look)
    thread.start()
    with library.transaction():
        library.instances.add(header(), "a" * 64, size=1)
        written.set()
        assert looked.wait(10)
    thread.join()
    assert seen == [0]
    assert library.instances.studies().total == 1


def test_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "library").write_text("not a folder")
    with pytest.raises(TransportError, match="can't be written"):
        Library.open(tmp_path / "library")


def test_database_that_is_away_is_said(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="needs the extra `postgres`")
    with pytest.raises(TransportError, match="did not answer"):
        Library.open(tmp_path, url=f"postgresql://coread@/library?host={tmp_path}")


@pytest.mark.parametrize("url", ["mysql://localhost/x", "nonsense"])
def test_address_of_another_kind_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="postgresql"):
        Library.open(tmp_path, url=url)


def test_identifiers_are_random_and_long(library: Library) -> None:
    identifiers = {library.identifier() for _ in range(100)}
    assert len(identifiers) == 100
    assert all(len(identifier) == 32 for identifier in identifiers)
    assert content_digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
