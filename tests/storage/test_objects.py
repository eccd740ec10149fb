from __future__ import annotations

import os
from pathlib import Path

import pytest

from coread.errors import DataError, InputError, TransportError
from coread.storage import ObjectStore


def test_name_is_the_published_sha_256_of_the_content(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    # FIPS 180-4, example of SHA-256 for "abc"
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert store.put(b"abc") == expected
    assert store.path(expected).read_bytes() == b"abc"
    assert store.get(expected) == b"abc"
    assert expected in store


def test_same_content_is_kept_once(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    digests = store.put_many([b"one", b"two", b"one"])
    assert digests[0] == digests[2]
    assert sorted(store.digests()) == sorted(set(digests))
    assert store.half_written() == 0


def test_file_and_folder_are_forced_to_the_disk_around_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def traced_fsync(handle: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        fsync(handle)

    def traced_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to tell files from folders")
    store = ObjectStore(tmp_path)
    store.put(b"first makes the folder")
    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(Path, "replace", traced_replace)
    target = store.path(store.put(b"content"))
    assert steps[-3:] == ["file", "rename", "folder"]
    assert target.is_file()


def test_changed_and_missing_objects_are_not_given_out(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    digest = store.put(b"pixels")
    store.path(digest).write_bytes(b"pixelz")
    with pytest.raises(DataError, match="changed on the disk"):
        store.get(digest)
    store.path(digest).unlink()
    with pytest.raises(DataError, match="missing"):
        store.get(digest)


def test_object_cut_short_is_written_again(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    digest = store.put(b"pixels")
    store.path(digest).write_bytes(b"pix")
    store.put(b"pixels")
    assert store.get(digest) == b"pixels"


@pytest.mark.parametrize("word", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "/"])
def test_only_a_digest_becomes_a_path(tmp_path: Path, word: str) -> None:
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        ObjectStore(tmp_path).path(word)


def test_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    digest = store.put(b"x")
    folder = store.path(digest).parent
    store.path(digest).unlink()
    folder.rmdir()
    folder.write_text("a file where the folder should be")
    with pytest.raises(TransportError, match="the disk did not take a file"):
        store.put(b"x")
    assert store.half_written() == 0
