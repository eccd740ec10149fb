"""Every file of a folder or an archive is found once, in order; bombs stay packed."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from coread.errors import DataError, InputError
from coread.interop.dicom import ArchiveLimits, find_files


def found(*paths: Path, limits: ArchiveLimits | None = None) -> dict[str, bytes | str]:
    """Paths to contents, or to the reason why there is none."""
    result: dict[str, bytes | str] = {}
    for file in find_files(paths, limits):
        try:
            result[file.path] = file.open()
        except DataError as error:
            result[file.path] = error.came
    return result


def packed(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_files_come_sorted_by_path_and_once(tmp_path: Path) -> None:
    for name in ("b/2", "a/9", "a/10", "c", "b/sub/1", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    names = [str(Path(path).relative_to(tmp_path)) for path in found(tmp_path)]
    assert names == [".hidden", "a/10", "a/9", "b/2", "b/sub/1", "c"]


def test_members_of_an_archive_are_files(tmp_path: Path) -> None:
    archive = packed(tmp_path / "study.zip", {"s/2.dcm": b"two", "s/1.dcm": b"one", "s/": b""})
    assert found(tmp_path) == {f"{archive}!s/1.dcm": b"one", f"{archive}!s/2.dcm": b"two"}


def test_a_zip_is_known_by_its_content(tmp_path: Path) -> None:
    archive = packed(tmp_path / "study.dat", {"1.dcm": b"one"})
    assert found(archive) == {f"{archive}!1.dcm": b"one"}


def test_a_missing_path_is_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        next(find_files([tmp_path, tmp_path / "nothing"]))


def test_a_bomb_stays_packed(tmp_path: Path) -> None:
    bomb = packed(tmp_path / "bomb.zip", {"1.dcm": bytes(60_000_000)})
    assert bomb.stat().st_size < 100_000
    tracemalloc.start()
    (reason,) = found(bomb).values()
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert isinstance(reason, str)
    assert "more than is allowed" in reason


def test_a_bomb_that_lies_about_its_size_gives_no_more_than_it_says(tmp_path: Path) -> None:
    bomb = packed(tmp_path / "bomb.zip", {"1.dcm": bytes(60_000_000)})
    content = bytearray(bomb.read_bytes())
    central = content.find(b"PK\x01\x02")
    struct.pack_into("<L", content, central + 24, 1000)  # uncompressed size in the directory
    bomb.write_bytes(content)
    tracemalloc.start()
    (reason,) = found(bomb).values()
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert reason == "a damaged member of an archive"


def test_the_number_of_members_is_bounded(tmp_path: Path) -> None:
    archive = packed(tmp_path / "many.zip", {str(n): b"" for n in range(11)})
    (reason,) = found(archive, limits=ArchiveLimits(members=10)).values()
    assert isinstance(reason, str)
    assert "11 members" in reason


def test_one_large_member_does_not_take_the_others_along(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"1": b"x" * 3000, "2": b"y"}, zipfile.ZIP_STORED)
    contents = found(archive, limits=ArchiveLimits(member_bytes=1000))
    assert "3000 bytes" in str(contents[f"{archive}!1"])
    assert contents[f"{archive}!2"] == b"y"


def test_damage_is_told_for_each_member(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"1": b"first" * 50, "2": b"second"}, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    at = content.find(b"firstfirst")
    content[at : at + 5] = b"FIRST"  # the checksum no longer fits
    archive.write_bytes(content)
    contents = found(archive)
    assert contents[f"{archive}!1"] == "a damaged member of an archive"
    assert contents[f"{archive}!2"] == b"second"
    archive.write_bytes(content[: len(content) // 2])
    assert list(found(archive).values()) == ["not DICOM: a damaged zip archive"]


def test_encrypted_members_are_told(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"1": b"x"})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.find(signature) + offset] |= 1
    archive.write_bytes(content)
    assert list(found(archive).values()) == ["encrypted"]


def test_names_that_climb_out_of_a_folder_write_nothing(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"../../evil.dcm": b"x"})
    assert list(found(archive).values()) == [b"x"]
    assert not (tmp_path.parent.parent / "evil.dcm").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs pipes and links of a POSIX system")
def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    contents = {Path(path).name: content for path, content in found(tmp_path).items()}
    assert contents["pipe"] == "not a regular file"
    assert contents["loop"] == "a link to a folder is not followed"
    assert "cannot be opened" in str(contents["lost"])
    assert len(contents) == 3


def test_a_file_too_large_is_told_unread(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(2000))
    (reason,) = found(tmp_path, limits=ArchiveLimits(member_bytes=1000)).values()
    assert reason == "2000 bytes, more than 1000"
