import stat
import struct
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from retina_nb.errors import UserError
from retina_nb.loaders import download, unzip
from retina_nb.loaders.unzip import is_unpacked, unpacked

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def archive(folder: Path, members: dict, name: str = "cells.zip") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for member, content in members.items():
            opened.writestr(member, content)
    return path


def test_an_archive_is_unpacked_beside_itself_and_kept(folder):
    path = archive(folder, {"a.txt": "a", "deep/b.txt": "b"})
    before = path.read_bytes()
    assert unpacked(path) == folder / "cells"
    assert (folder / "cells" / "deep" / "b.txt").read_text() == "b"
    assert path.read_bytes() == before


def test_a_folder_of_the_same_name_is_not_doubled_and_what_macos_adds_is_left_out(folder):
    members = {"cells/a.txt": "a", "cells/b.txt": "b", "cells/.DS_Store": "x", "__MACOSX/cells/._a.txt": "x"}
    assert {path.name for path in unpacked(archive(folder, members)).iterdir()} == {"a.txt", "b.txt"}


def test_of_a_single_file_the_file_is_told(folder):
    assert unpacked(archive(folder, {"movie.pkl": "m"})) == folder / "cells" / "movie.pkl"


def test_what_is_whole_is_not_unpacked_again_and_what_is_not_is_mended(folder):
    path = archive(folder, {"a.txt": "aaa", "b.txt": "bbb"})
    unpacked(path)
    (folder / "cells" / "a.txt").write_text("AAA")
    (folder / "cells" / "b.txt").write_text("b")  # as if the disk had been full
    unpacked(path)
    assert (folder / "cells" / "a.txt").read_text() == "AAA"
    assert (folder / "cells" / "b.txt").read_text() == "bbb"


def test_content_without_its_archive_is_taken(folder):
    assert not is_unpacked(folder / "cells.zip")
    (folder / "cells.h5").write_text("x")
    assert unpacked(folder / "cells.zip") == folder / "cells.h5"
    (folder / "cells").mkdir()
    (folder / "cells" / "a.txt").write_text("x")
    (folder / "cells" / "b.txt").write_text("x")
    assert unpacked(folder / "cells.zip") == folder / "cells"
    assert is_unpacked(folder / "cells.zip")
    with pytest.raises(UserError, match=r"there is no archive .*rods\.zip, and no folder rods"):
        unpacked(folder / "rods.zip")


def test_a_folder_that_cannot_be_written_is_left_alone(folder, tmp_path, monkeypatch):
    path = archive(folder, {"a.txt": "a", "b.txt": "b"})
    monkeypatch.setattr(unzip.os, "access", lambda *_: False)
    found = unpacked(path)
    assert found.is_relative_to(tmp_path / "cache")
    assert (found / "b.txt").read_text() == "b"
    assert unpacked(path) == found
    assert [one.name for one in folder.iterdir()] == ["cells.zip"]


@pytest.mark.parametrize(
    ("one", "other"), [("a.txt", "./a.txt"), ("b/a.txt", "b//a.txt"), ("a.txt", "A.TXT"), ("\u00e9", "e\u0301")]
)
def test_names_that_are_one_file_on_some_disk_are_refused(folder, one, other):
    with pytest.raises(UserError, match="two files of one name"):
        unpacked(archive(folder, {one: "1", other: "2"}))
    assert [path.name for path in folder.iterdir()] == ["cells.zip"]


@pytest.mark.parametrize(("member", "problem"), [("nul.txt", "is a device"), ("a\0b", "has a null")])
def test_names_that_no_file_can_have_everywhere_are_refused(folder, member, problem):
    path = archive(folder, {"b.txt": "b", member.replace("\0", "~"): "x"})
    path.write_bytes(path.read_bytes().replace(b"a~b", b"a\0b"))
    with pytest.raises(UserError, match=problem):
        unpacked(path)


@pytest.mark.parametrize(
    "member", ["/etc/x", "../x", "a/../../x", "C:\\x", "..\\x", "C:/x"], ids=lambda name: name.replace("/", "|")
)
def test_nothing_leads_outside(folder, tmp_path, member):
    path = archive(folder, {"a.txt": "a", member: "x"})
    with pytest.raises(UserError, match=r"cells\.zip is not unpacked: its member .* leads outside the folder"):
        unpacked(path)
    assert [one.name for one in folder.iterdir()] == ["cells.zip"]


def test_links_are_refused(folder):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(UserError, match="'link' is a link or a device"):
        unpacked(archive(folder, {link: "/etc/passwd"}))


def test_encrypted_files_are_refused(folder):
    path = archive(folder, {"a.txt": "a"})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 8
    content[at] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"'a\.txt' is encrypted"):
        unpacked(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_and_none_are_refused(folder):
    path = folder / "cells.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a.txt", "1")
        opened.writestr("a.txt", "2")
    with pytest.raises(UserError, match="two files of one name"):
        unpacked(path)
    with pytest.raises(UserError, match="no files"):
        unpacked(archive(folder, {}, "empty.zip"))


def test_no_room_is_told_before_anything_is_written(folder, monkeypatch):
    path = archive(folder, {"a.txt": b"a" * 3_000_000, "b.txt": "b"})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 2_000_000))
    with pytest.raises(UserError, match=r"unpacking .*cells\.zip needs 0.003 GB, .* 0.002 GB free"):
        unpacked(path)
    assert not (folder / "cells").exists()


def damaged(content: bytes, how: str) -> bytes:
    if how == "truncated":
        return content[: len(content) // 2]
    if how == "not an archive":
        return b"<html>404</html>"
    if how == "flipped":
        at = content.index(b"a.txt") + 20
        return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
    at = content.index(b"PK\x01\x02") + 24  # the size that the archive tells
    return content[:at] + struct.pack("<I", 7) + content[at + 4 :]


@pytest.mark.parametrize("how", ["truncated", "not an archive", "flipped", "wrong size"])
def test_a_damaged_archive_is_named_and_leaves_no_broken_file(folder, how):
    path = archive(folder, {"a.txt": bytes(range(256)) * 40})
    path.write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(UserError, match=rf"{path} is damaged .*; replace it"):
        unpacked(path)
    assert not (folder / "cells" / "a.txt").exists()
