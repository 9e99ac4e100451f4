import errno
import hashlib
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import requests
from serving import serving

from retina_nb.errors import UserError
from retina_nb.loaders import download
from retina_nb.loaders.download import RemoteFile, find_or_download, recorded
from retina_nb.loaders.remote import check_answer

CONTENT = np.random.default_rng(0).bytes(3_000_001)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RETINA_NB_DATA", raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.001)
    with serving({"cells.mat": CONTENT}) as server:
        server.file = RemoteFile("cells.mat", f"{server.url}/cells.mat", len(CONTENT), SHA256)
        yield server


def left_over(folder: Path) -> set[str]:
    """Names of the files in a folder, but for those that keep the records."""
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".downloads")}


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path))
    assert download.cache_dir() == tmp_path
    monkeypatch.delenv("RETINA_NB_CACHE")
    assert download.cache_dir() == Path.home() / ".cache" / "retina_nb"


def test_a_file_is_downloaded_once(server, tmp_path):
    path = find_or_download(server.file, "salamander")
    assert path == tmp_path / "cache" / "salamander" / "cells.mat"
    assert path.read_bytes() == CONTENT
    assert find_or_download(server.file, "salamander") == path
    assert server.starts == [0]
    assert left_over(tmp_path) == {"cells.mat"}


def test_processes_that_want_the_same_file_at_once_download_it_once(server):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: find_or_download(server.file, "salamander"), range(4)))
    assert {path.read_bytes() == CONTENT for path in paths} == {True}
    assert server.starts == [0]


@pytest.mark.parametrize("subfolder", [".", "salamander"])
@pytest.mark.parametrize("setting", ["data_dir", "RETINA_NB_DATA"])
def test_a_file_that_the_user_has_is_not_downloaded(server, tmp_path, monkeypatch, setting, subfolder):
    mine = tmp_path / "mine"
    (mine / subfolder).mkdir(parents=True)
    (mine / subfolder / "cells.mat").write_bytes(CONTENT)
    if setting == "RETINA_NB_DATA":
        monkeypatch.setenv(setting, str(mine))
        path = find_or_download(server.file, "salamander")
    else:
        path = find_or_download(server.file, "salamander", mine)
    assert path == mine / subfolder / "cells.mat"
    assert server.starts == []


def test_a_file_that_is_not_among_the_users_data_is_downloaded(server, tmp_path, monkeypatch):
    monkeypatch.setenv("RETINA_NB_DATA", str(tmp_path))
    assert find_or_download(server.file, "salamander").read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["breaks off", "breaks off, size unsaid", 503])
def test_a_broken_download_goes_on(server, fault):
    server.script = [fault, fault]
    assert find_or_download(server.file, "salamander").read_bytes() == CONTENT
    expected = [0, 0, 0] if fault == 503 else [0, 1_500_000, 2_250_000]
    np.testing.assert_allclose(server.starts, expected, atol=150_000)


def test_a_later_call_goes_on_where_the_last_one_gave_up(server, tmp_path):
    server.script = ["breaks off"] * download.ATTEMPTS
    with pytest.raises(UserError, match="broke off; try again"):
        find_or_download(server.file, "salamander")
    assert left_over(tmp_path) == {"cells.mat.part"}
    server.starts.clear()
    assert find_or_download(server.file, "salamander").read_bytes() == CONTENT
    assert server.starts[0] > 2_000_000


@pytest.mark.parametrize("fault", ["refuses to resume", 416])
def test_a_server_that_cannot_resume_sends_everything(server, fault):
    server.script = ["breaks off", fault]
    assert find_or_download(server.file, "salamander").read_bytes() == CONTENT


def test_a_missing_file_is_asked_for_once(server, tmp_path):
    server.script = [404]
    with pytest.raises(UserError, match=r"cells\.mat: the server answered 404 Not Found"):
        find_or_download(server.file, "salamander")
    assert server.starts == [0]
    assert left_over(tmp_path) == set()


def test_a_server_that_stays_busy_is_left_alone(server):
    server.script = [503] * 10
    with pytest.raises(UserError, match="503 Service Unavailable; try again later"):
        find_or_download(server.file, "salamander")
    assert len(server.starts) == download.ATTEMPTS


def test_no_connection(server):
    gone = replace(server.file, url="http://127.0.0.1:9/cells.mat")
    with pytest.raises(UserError, match="no connection to the server"):
        find_or_download(gone, "salamander")


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"!"])
def test_a_server_with_a_file_of_another_size(server, tmp_path, content):
    server.files["cells.mat"] = content
    with pytest.raises(UserError, match="another file now"):
        find_or_download(server.file, "salamander")
    assert left_over(tmp_path) == set()


def test_a_server_that_lies_about_the_size(server, tmp_path):
    server.script = ["lies about the size"]
    with pytest.raises(UserError, match="another file now, of 3,000,006 bytes"):
        find_or_download(server.file, "salamander")
    assert left_over(tmp_path) == set()


def test_too_much_of_unsaid_size(server, tmp_path):
    server.files["cells.mat"], server.script = CONTENT + b"!", ["size unsaid"]
    with pytest.raises(UserError, match="3,000,002 bytes instead of 3,000,001"):
        find_or_download(server.file, "salamander")
    assert left_over(tmp_path) == set()


def test_a_corrupted_download_is_thrown_away(server, tmp_path):
    server.files["cells.mat"] = b"?" + CONTENT[1:]
    with pytest.raises(UserError, match="SHA-256"):
        find_or_download(server.file, "salamander")
    assert left_over(tmp_path) == set()


@pytest.mark.parametrize(("content", "problem"), [(CONTENT[:100], "100 bytes"), (b"?" + CONTENT[1:], "SHA-256")])
@pytest.mark.parametrize("place", ["data_dir", "cache"])
def test_a_damaged_file_is_named(server, tmp_path, place, content, problem):
    path = tmp_path / place / "salamander" / "cells.mat"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{path} has .*{problem}"):
        find_or_download(server.file, "salamander", tmp_path / place if place == "data_dir" else None)
    assert path.read_bytes() == content


def test_a_data_dir_without_the_file(server, tmp_path):
    with pytest.raises(UserError, match=r"has no file cells\.mat"):
        find_or_download(server.file, "salamander", tmp_path)
    assert server.starts == []


@pytest.mark.parametrize("setting", ["data_dir", "RETINA_NB_DATA"])
def test_a_folder_that_does_not_exist(server, tmp_path, monkeypatch, setting):
    monkeypatch.setenv("RETINA_NB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=f"no folder .*nowhere, which {setting} names"):
        find_or_download(server.file, "salamander", tmp_path / "nowhere" if setting == "data_dir" else None)


def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot write .* RETINA_NB_CACHE"):
        find_or_download(server.file, "salamander")


def test_a_full_disk(server, monkeypatch):
    def no_space(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.os, "replace", no_space)
    with pytest.raises(UserError, match="No space left on device"):
        find_or_download(server.file, "salamander")


@pytest.fixture
def unpublished(server):
    """A file of which neither size nor checksum is published."""
    return RemoteFile("cells.mat", server.file.url)


def test_what_arrived_is_recorded(server, tmp_path, unpublished):
    path = find_or_download(unpublished, "salamander")
    (record,) = recorded(path.parent).values()
    assert (record.name, record.url, record.size, record.sha256) == ("cells.mat", server.file.url, len(CONTENT), SHA256)
    assert record.date.startswith("20")


@pytest.mark.parametrize("content", [CONTENT[:100], b"?" + CONTENT[1:]], ids=["shorter", "same size"])
def test_an_unpublished_file_is_held_to_its_record(server, unpublished, content):
    path = find_or_download(unpublished, "salamander")
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{path} has .*; replace it by {server.url}/cells.mat, or delete it"):
        find_or_download(unpublished, "salamander")
    path.unlink()
    assert find_or_download(unpublished, "salamander").read_bytes() == CONTENT


def test_a_file_that_was_touched_is_read_again_once(unpublished, monkeypatch, server):
    path = find_or_download(unpublished, "salamander")
    path.touch()
    read = []
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: read.append(1) or hashlib.sha256(path.read_bytes()))
    for _ in range(2):
        find_or_download(unpublished, "salamander")
    assert read == [1]
    assert server.starts == [0]


def test_damaged_records_are_as_if_they_were_not(unpublished):
    path = find_or_download(unpublished, "salamander")
    (path.parent / download.RECORDS).write_bytes(b'{"name": \n\xff[]')
    assert find_or_download(unpublished, "salamander").read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["breaks off", 503])
def test_a_broken_download_of_unpublished_size_goes_on(server, unpublished, fault):
    server.script = [fault, fault]
    assert find_or_download(unpublished, "salamander").read_bytes() == CONTENT


def test_a_size_that_the_server_cannot_keep(server, tmp_path, unpublished):
    server.script = ["lies about the size"] * download.ATTEMPTS
    with pytest.raises(UserError, match="broke off; try again later"):
        find_or_download(unpublished, "salamander")
    assert left_over(tmp_path) <= {"cells.mat.part"}


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks():
    def answered(**headers):
        answer = requests.Response()
        answer.headers.update(headers)
        return requests.HTTPError(response=answer)

    assert download._asked_pause(answered(**{"Retry-After": "7"})) == 7
    assert download._asked_pause(answered(RateLimit='"resolvers";r=0;t=100')) == 100
    assert download._asked_pause(answered(**{"Retry-After": "999999"})) == download.LONGEST_PAUSE
    assert download._asked_pause(answered(**{"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})) == 0


def test_a_disk_without_room(server, tmp_path, unpublished, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 2_000_000))
    for file in (server.file, unpublished):
        with pytest.raises(UserError, match=r"needs 0.003 GB, but the disk of .* has 0.002 GB free; make room"):
            find_or_download(file, "salamander")
    assert server.starts == [0]  # without a published size the server has to be asked
    assert left_over(tmp_path) <= {"cells.mat.part"}


def test_many_files_come_at_once_and_those_that_are_there_stay(server, tmp_path):
    server.files |= {f"frames/{number}.npy": bytes([number]) * 1000 for number in range(30)}
    files = [RemoteFile(name, f"{server.url}/{name}") for name in server.files]
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "3.npy").write_bytes(b"mine")
    download.download_files(files, tmp_path)
    assert len(server.starts) == 30
    assert (tmp_path / "frames" / "29.npy").read_bytes() == bytes([29]) * 1000
    assert (tmp_path / "frames" / "3.npy").read_bytes() == b"mine"
    assert len(recorded(tmp_path)) == 30


def test_of_many_files_one_that_is_missing_is_named_and_the_rest_is_kept(server, tmp_path):
    files = [RemoteFile(name, f"{server.url}/{name}") for name in ("cells.mat", "none.mat")]
    with pytest.raises(UserError, match=r"none\.mat: the server answered 404"):
        download.download_files(files, tmp_path)
    server.files["none.mat"] = b"now"
    download.download_files(files, tmp_path)
    assert (tmp_path / "none.mat").read_bytes() == b"now"


PAGE = b"<!DOCTYPE html><html>sign in</html>"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((200, PAGE, {"Content-Type": "text/html; charset=utf-8", "Content-Length": "35"}), "sent a web page instead"),
        ((200, b"", {"Content-Length": "0"}), "the server sent nothing"),
        ((200, b"0\r\n\r\n", {"Transfer-Encoding": "chunked"}), "the server sent nothing"),
        ((204, b"", {}), "the server answered 204 No Content"),
        ((203, CONTENT, {"Content-Length": str(len(CONTENT))}), "the server answered 203"),
        (
            (206, CONTENT[:9], {"Content-Range": "bytes 0-8/99", "Content-Length": "9"}),
            "sent another part",
        ),
        ((302, b"", {"Content-Length": "0"}), "the server answered 302 Found"),
        ((302, b"", {"Location": "/cells.mat"}), "it leads nowhere .*30 redirects"),
        ((302, b"", {"Location": "http://["}), "it leads nowhere"),
        ((302, b"", {"Location": "file:///etc/passwd"}), "it leads nowhere"),
        ((200, CONTENT[:99], {}), "the server does not say how long it is"),
        ((200, b"x", {"Content-Length": "9" * 5000}), "which is no size"),
        (
            (200, b"x", {"X-Linked-Size": "9" * 5000, "Content-Length": "1"}),
            "X-Linked-Size 9{20}, which",
        ),
        ((200, b"x", {"X-Linked-Size": "-1", "Content-Length": "1"}), "says X-Linked-Size -1, which is no size"),
        (
            (200, b"x", {"Content-Encoding": "gzip", "Content-Length": "1"}),
            "compresses what it was asked",
        ),
    ],
)
def test_what_is_not_the_file_is_refused_and_leaves_nothing(server, tmp_path, unpublished, answer, problem):
    server.script = [answer] * 40
    with pytest.raises(UserError, match=problem) as error:
        find_or_download(unpublished, "salamander")
    assert "\n" not in str(error.value)
    assert left_over(tmp_path) == set()
    assert recorded(tmp_path / "cache" / "salamander") == {}
    server.script = []
    assert find_or_download(unpublished, "salamander").read_bytes() == CONTENT


def test_a_chunked_answer_has_an_end(server, unpublished):
    server.script = [(200, b"5\r\nwhole\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"})]
    assert find_or_download(unpublished, "salamander").read_bytes() == b"whole"


@pytest.mark.parametrize("kept", [PAGE, b""], ids=["page", "empty"])
def test_what_was_recorded_wrongly_is_downloaded_again(server, tmp_path, unpublished, kept):
    folder = tmp_path / "cache" / "salamander"
    folder.mkdir(parents=True)
    (folder / "cells.mat").write_bytes(kept)
    time = (folder / "cells.mat").stat().st_mtime_ns
    download._write_record(
        download.Record("cells.mat", unpublished.url, len(kept), hashlib.sha256(kept).hexdigest(), "2026", time), folder
    )
    assert find_or_download(unpublished, "salamander").read_bytes() == CONTENT
    assert recorded(folder)["cells.mat"].sha256 == SHA256


def test_a_file_can_be_downloaded_again_and_stays_if_that_fails(server, tmp_path, unpublished):
    path = find_or_download(unpublished, "salamander")
    server.files["cells.mat"] = b"newer"
    server.script = [404]
    with pytest.raises(UserError, match="404"):
        download.download_files([unpublished], path.parent, again=True)
    assert path.read_bytes() == CONTENT
    download.download_files([unpublished], path.parent, again=True)
    assert path.read_bytes() == b"newer"


@pytest.mark.parametrize("said", ["ETag", "Last-Modified"])
@pytest.mark.parametrize("changed", [False, True])
def test_a_part_of_an_older_version_is_not_gone_on_with(server, tmp_path, unpublished, said, changed):
    server.headers, server.script = {said: '"1"'}, ["breaks off"] * download.ATTEMPTS
    with pytest.raises(UserError, match="broke off; try again"):
        find_or_download(unpublished, "salamander")
    assert (tmp_path / "cache" / "salamander" / "cells.mat.part").stat().st_size > 2_000_000
    if changed:
        server.files["cells.mat"], server.headers = CONTENT[::-1], {said: '"2"'}
    server.starts.clear()
    assert find_or_download(unpublished, "salamander").read_bytes() == server.files["cells.mat"]
    assert server.starts[0] > 2_000_000
    assert (server.starts[1:] == [0]) is changed
    assert left_over(tmp_path) == {"cells.mat"}


def test_a_part_of_which_nothing_tells_the_version_is_not_gone_on_with(server, unpublished):
    server.script = ["breaks off"] * download.ATTEMPTS
    with pytest.raises(UserError, match="broke off; try again"):
        find_or_download(unpublished, "salamander")
    server.files["cells.mat"] = CONTENT[::-1]
    server.starts.clear()
    assert find_or_download(unpublished, "salamander").read_bytes() == CONTENT[::-1]
    assert server.starts == [0]


def test_another_part_than_was_asked_for_is_not_appended(server, unpublished):
    server.headers = {"ETag": '"1"'}
    elsewhere = {"Content-Range": f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}", "ETag": '"1"'}
    server.script = ["breaks off", (206, CONTENT[5:], elsewhere | {"Content-Length": str(len(CONTENT) - 5)})]
    assert find_or_download(unpublished, "salamander").read_bytes() == CONTENT


def test_a_connection_that_drips_is_given_up(server, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.script = ["drips"] * download.ATTEMPTS
    with pytest.raises(UserError, match="the connection has less than 500 bytes a second; try again later"):
        find_or_download(server.file, "salamander")
    assert len(server.starts) == download.ATTEMPTS


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/x", "..\\x", "C:/x", "C:x", "a\0b", "nul", "com1.txt", "", ".downloads.jsonl"]
)
def test_names_that_lead_elsewhere_are_refused(server, tmp_path, name):
    with pytest.raises(UserError, match="is not downloaded: its name"):
        download.download_files([replace(server.file, name=name)], tmp_path / "folder")
    assert server.starts == []


def test_a_redirect_to_a_connection_that_is_not_safe_is_refused():
    def answer(url, *history):
        made = requests.Response()
        made.status_code, made.url, made.history = 200, url, list(history)
        return made

    file, safe, open_to_all = RemoteFile("a", "https://a"), answer("https://a"), answer("http://b")
    with pytest.raises(UserError, match="anybody on the way can change"):
        check_answer(file, answer("http://b", safe), have=0, version="")
    with pytest.raises(UserError, match="anybody on the way can change"):
        check_answer(file, answer("https://c", safe, open_to_all), have=0, version="")
    check_answer(file, answer("https://c", safe), have=0, version="")
    check_answer(file, answer("https://c", open_to_all), have=0, version="")
