import hashlib
import io
import zipfile

import pytest
from serving import HUB, serving

from retina_nb.errors import UserError
from retina_nb.loaders import download, hub
from retina_nb.loaders.hub import dataset_folder, fetch_folder, hub_file, is_there

ROOT = hub.ROOTS["karamanlis_2024"]
CHECKPOINT = "model_checkpoints/2026-03-09/some_cnn.ckpt"


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, member in members.items():
            opened.writestr(name, member)
    return content.getvalue()


PUBLISHED = {
    f"{ROOT}/README.md": b"read me",
    f"{ROOT}/sessions/1_mouse/a_data.mat": b"mouse a" * 1000,
    f"{ROOT}/sessions/1_mouse/b_data.mat": b"mouse b",
    f"{ROOT}/sessions/2_mouse.zip": zipped({"2_mouse/a_data.mat": b"mouse 2a", "2_mouse/b_data.mat": b"mouse 2b"}),
    f"{ROOT}/sessions/3_marmoset/a_data.mat": b"marmoset",
    CHECKPOINT: b"weights" * 100,
}
MICE = ["sessions/*mouse*"]


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("RETINA_NB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RETINA_NB_DATA", raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    with serving(dict(PUBLISHED)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def files(folder):
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)) for path in paths}


def test_what_is_wanted_is_downloaded_unpacked_and_kept(server, tmp_path):
    folder = dataset_folder("karamanlis_2024", None, MICE)
    assert folder == tmp_path / "cache" / "karamanlis_2024"
    assert files(folder) == {
        "sessions/1_mouse/a_data.mat",
        "sessions/1_mouse/b_data.mat",
        "sessions/2_mouse.zip",
        "sessions/2_mouse/a_data.mat",
        "sessions/2_mouse/b_data.mat",
    }
    assert (folder / "sessions/1_mouse/b_data.mat").read_bytes() == b"mouse b"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["README.md"], {"README.md"}),
        (["sessions/3_marmoset/"], {"sessions/3_marmoset/a_data.mat"}),
        (["sessions/*/b_data.mat", "README.md"], {"sessions/1_mouse/b_data.mat", "README.md"}),
        (["*.md"], {"README.md"}),
        (["sessions/[13]_*/a_*.mat"], {"sessions/1_mouse/a_data.mat", "sessions/3_marmoset/a_data.mat"}),
    ],
)
def test_files_folders_and_patterns_can_be_wanted(server, wanted, expected):
    assert files(dataset_folder("karamanlis_2024", None, wanted)) == expected


def test_with_everything_in_the_cache_nobody_is_asked(server):
    wanted = [*MICE, "README.md"]
    folder = dataset_folder("karamanlis_2024", None, wanted)
    hub_file(CHECKPOINT)
    server.asked.clear()
    assert dataset_folder("karamanlis_2024", None, wanted) == folder
    assert hub_file(CHECKPOINT).read_bytes() == PUBLISHED[CHECKPOINT]
    assert server.asked == []


def test_only_what_is_missing_is_downloaded(server):
    folder = dataset_folder("karamanlis_2024", None, MICE)
    (folder / "sessions/1_mouse/b_data.mat").unlink()
    (folder / "sessions/2_mouse.zip").unlink()  # its content is there
    server.asked.clear()
    dataset_folder("karamanlis_2024", None, MICE)
    path = f"{ROOT}/sessions/1_mouse/b_data.mat"
    assert server.asked == [f"{HUB}/resolve/main/{path}", path]


def test_a_single_file_is_checked_by_what_the_hub_says_and_recorded(server, tmp_path):
    path = hub_file(CHECKPOINT)
    assert path == tmp_path / "cache" / "hub" / CHECKPOINT
    (record,) = download.recorded(tmp_path / "cache" / "hub").values()
    assert record.sha256 == hashlib.sha256(PUBLISHED[CHECKPOINT]).hexdigest()
    path.write_bytes(b"weights")
    with pytest.raises(UserError, match=r"some_cnn\.ckpt has 7 bytes instead of 700; replace it by http"):
        hub_file(CHECKPOINT)


def test_a_file_that_is_not_the_one_the_hub_speaks_of_is_refused(server, tmp_path):
    server.linked_sha256[CHECKPOINT] = "0" * 64
    with pytest.raises(UserError, match=r"sent has the SHA-256 .* instead of 000000000000…"):
        hub_file(CHECKPOINT)
    assert files(tmp_path / "cache") == set()


@pytest.mark.parametrize(
    ("said", "problem"),
    [(b"mouse a" * 1000, "sent has the SHA-256 .* instead of"), (b"mouse A" * 1000, "is another file now, of SHA-256")],
    ids=["corrupted", "changed"],
)
def test_a_file_that_is_not_as_it_was_listed_is_refused(server, said, problem):
    folder, path = dataset_folder("karamanlis_2024", None, MICE), "sessions/1_mouse/a_data.mat"
    (folder / path).unlink()
    server.files[f"{ROOT}/{path}"] = b"mouse A" * 1000
    server.linked_sha256[f"{ROOT}/{path}"] = hashlib.sha256(said).hexdigest()
    with pytest.raises(UserError, match=problem):
        dataset_folder("karamanlis_2024", None, MICE)
    assert not (folder / path).exists()


@pytest.mark.parametrize("fault", ["breaks off", 503, "lies about the size"])
def test_a_download_that_is_disturbed(server, fault):
    server.script = [fault]
    if fault == "lies about the size":
        with pytest.raises(UserError, match="705 bytes, but is said to have 700"):
            hub_file(CHECKPOINT)
    else:
        assert hub_file(CHECKPOINT).read_bytes() == PUBLISHED[CHECKPOINT]


def test_what_the_hub_does_not_have(server):
    with pytest.raises(UserError, match=r"none\.ckpt: the server answered 404"):
        hub_file("model_checkpoints/none.ckpt")
    with pytest.raises(UserError, match=r"karamanlis_2024: nothing on the hub matches sessions/\*rat\*, see https"):
        dataset_folder("karamanlis_2024", None, ["sessions/*rat*"])
    with pytest.raises(UserError, match="karamanlis_2024: the hub has no folder movies, see https"):
        dataset_folder("karamanlis_2024", None, ["movies/"])
    with pytest.raises(UserError, match="did you mean 'karamanlis_2024'"):
        dataset_folder("karamanlis_2023", None, MICE)


def test_without_a_network_one_sentence(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        UserError, match=r"cannot list its files on http://127.0.0.1:9: no connection to the server; .*data_dir"
    ):
        dataset_folder("karamanlis_2024", None, MICE)
    with pytest.raises(UserError, match="no connection to the server; try again later"):
        hub_file(CHECKPOINT)


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("data_dir", "."),
        *[(one, place) for one in ("data_dir", "RETINA_NB_DATA") for place in ("karamanlis_2024", ROOT)],
    ],
)
def test_the_users_own_folder_comes_first(server, tmp_path, monkeypatch, setting, place):
    mine = tmp_path / "mine"
    fetch_folder("karamanlis_2024", MICE, mine / place)
    server.asked.clear()
    if setting == "RETINA_NB_DATA":
        monkeypatch.setenv(setting, str(mine))
    assert dataset_folder("karamanlis_2024", mine if setting == "data_dir" else None, MICE) == mine / place
    assert server.asked == []
    (mine / place / "sessions/1_mouse/a_data.mat").write_bytes(b"?")
    with pytest.raises(UserError, match=r"a_data\.mat has 1 bytes instead of 7,000"):
        dataset_folder("karamanlis_2024", mine if setting == "data_dir" else None, MICE)


def test_a_data_dir_that_lacks_something_is_told_what(server, tmp_path):
    (tmp_path / "mine" / "sessions").mkdir(parents=True)
    with pytest.raises(
        UserError, match=r"mine has no sessions/\*mouse\*; put it there from https://huggingface.co/datasets"
    ):
        dataset_folder("karamanlis_2024", tmp_path / "mine", MICE)
    with pytest.raises(UserError, match=r"no folder .*yours, which data_dir names"):
        dataset_folder("karamanlis_2024", tmp_path / "yours", MICE)
    assert server.asked == []


def test_what_is_there_is_known_without_asking(server, tmp_path, monkeypatch):
    assert not is_there("karamanlis_2024", MICE)
    dataset_folder("karamanlis_2024", None, MICE)
    server.asked.clear()
    assert is_there("karamanlis_2024", MICE)
    assert is_there("karamanlis_2024", ["sessions/1_mouse/a_data.mat"])
    assert not is_there("karamanlis_2024", ["sessions/*marmoset*"])
    assert not is_there("karamanlis_2024", ["README.md"])
    monkeypatch.setenv("RETINA_NB_DATA", str(tmp_path / "nowhere"))
    assert not is_there("karamanlis_2024", MICE)
    assert server.asked == []


@pytest.mark.parametrize("name", ["../x", "a/../../../x", "..\\x", "C:/x", "a\0b", "nul.txt"])
def test_a_listing_that_leads_elsewhere_is_refused(server, tmp_path, name):
    server.listed[f"{ROOT}/sessions/{name}"] = b"x"
    with pytest.raises(UserError, match=r"nothing is downloaded, since the hub lists a file .*, which"):
        dataset_folder("karamanlis_2024", None, ["sessions/"])
    assert files(tmp_path / "cache") == set()


@pytest.mark.parametrize("kept", ["[1]", '{"sessions": [3]}', '{"sessions": 3}', "{", "null"])
def test_a_remembered_listing_that_is_damaged_is_asked_for_again(server, tmp_path, kept):
    dataset_folder("karamanlis_2024", None, MICE)
    (tmp_path / "cache" / "karamanlis_2024" / hub.LISTINGS).write_text(kept)
    dataset_folder("karamanlis_2024", None, MICE)
