"""Going on with a training in a folder: only with the same one, and from whole files."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb

FAST = {"batch_size": 8, "chunk_size": 40, "accelerator": "cpu"}


def make(*overrides, seed=0, recording=None):
    recording = small_recording(time=400) if recording is None else recording
    return rnb.build_twin("simulated_retina", recording, overrides=[*TINY, *overrides], seed=seed), recording


def equal(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with two epochs of training, and the twin."""
    folder = tmp_path_factory.mktemp("trained")
    twin, recording = make()
    rnb.fit(twin, recording, max_epochs=2, folder=folder, **FAST)
    return folder, twin


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of it, which is another folder than it was."""
    return Path(shutil.copytree(trained[0], tmp_path / "moved"))


def resume(folder, twin, recording, **options):
    return rnb.fit(twin, recording, folder=folder, resume=True, **FAST | {"max_epochs": 3} | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0001}, "learning_rate=0.01, not 0.0001"),
        ({"weight_decay": 0.0}, "weight_decay=0.01, not 0.0"),
        ({"batch_size": 4}, "batch_size=8, not 4"),
        ({"chunk_size": 30}, "chunk_size=40, not 30"),
        ({"patience": 5}, "patience=3, not 5"),
        ({"clip_norm": 2.0}, "clip_norm=1.0, not 2.0"),
        ({"averaging": 0.0}, "averaging=0.9, not 0.0"),
        ({"loss": "mse"}, "loss='poisson', not 'mse'"),
        ({"loss": torch.nn.functional.mse_loss}, "loss='poisson', not 'mse_loss'"),
        ({"neuron_weights": "rate"}, "neuron_weights='none', not 'rate'"),
        ({"seed": 1}, "seed=0, not 1"),
        ({"precision": "bf16-mixed"}, "precision='32-true', not 'bf16-mixed'"),
    ],
)
def test_another_value_of_an_option_is_refused_by_its_name(options, message, folder):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(rnb.UserError, match=f"training in .*, which has {message}: choose another folder"):
        resume(folder, *make(), **options)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def other_recording(change):
    recording = small_recording(time=400)
    if change == "responses":
        responses = recording.responses.copy()
        responses[7, 1] += 1
        return replace(recording, responses=responses)
    if change == "bins":
        return replace(recording, split=np.where(recording.history < 50, "", recording.split))
    if change == "stimuli":
        return replace(recording, movie=rnb.Movie(2 * recording.movie.frames))
    return replace(recording, session=change)


@pytest.mark.parametrize("change", ["responses", "bins", "stimuli"])
def test_other_recordings_are_refused(change, folder):
    with pytest.raises(rnb.UserError, match=f"which has other {change} of session a: give the same recordings"):
        resume(folder, *make(recording=other_recording(change)))


def test_other_sessions_are_refused(folder):
    with pytest.raises(rnb.UserError, match=r"which has weights|which has a twin with|the sessions a, not b"):
        resume(folder, *make(recording=other_recording("b")))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("core.hidden_channels=[6,5]", r"core.hidden_channels \[4, 3\], not \[6, 5\]"),
        ("core.dropout=0.5", "core.dropout 0.0, not 0.5"),
        ("readout=point_gaussian", "readout"),
    ],
)
def test_another_architecture_is_refused(override, message, folder):
    with pytest.raises(rnb.UserError, match=f"training in .*, which has {message}.*: choose another folder"):
        resume(folder, *make(override))


def test_another_twin_of_parts_made_by_hand_is_refused(tmp_path):
    def by_hand(channels):
        built, recording = make(f"core.hidden_channels=[4,{channels}]")
        return rnb.build_twin(recordings=recording, core=built.core, readout=built.readout), recording

    rnb.fit(*by_hand(3), folder=tmp_path, max_epochs=1, **FAST)
    with pytest.raises(rnb.UserError, match=r"which has a twin with core\.layers.* \[3, .*\], not \[2, "):
        resume(tmp_path, *by_hand(2))


def test_a_core_that_is_frozen_now_is_refused(folder):
    twin, recording = make()
    twin.freeze_core()
    with pytest.raises(rnb.UserError, match="other parts of the twin frozen"):
        resume(folder, twin, recording)


def test_a_frozen_core_is_that_of_the_training_and_not_of_the_given_twin(tmp_path):
    def frozen(seed):
        twin, recording = make(seed=seed)
        twin.freeze_core()
        return twin, recording

    whole, recording = frozen(seed=0)
    rnb.fit(whole, recording, max_epochs=3, **FAST)
    rnb.fit(*frozen(seed=0), max_epochs=1, folder=tmp_path, **FAST)
    other, _ = frozen(seed=9)
    resume(tmp_path, other, recording)
    assert equal(other, whole)


DAMAGES = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "start": lambda content: content[:2000],
    "a page": lambda content: b"<!DOCTYPE html><html>not found</html>",
    "flipped": lambda content: content[:3000] + bytes([content[3000] ^ 255]) + content[3001:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_with_what_to_do(damage, folder, trained):
    last, best = folder / "last.ckpt", folder / "best.ckpt"
    last.write_bytes(DAMAGES[damage](last.read_bytes()))
    with pytest.raises(rnb.UserError, match=r"last\.ckpt is damaged.*delete it, and fit\(resume=True\) goes on from"):
        resume(folder, *make())
    best.write_bytes(DAMAGES[damage](best.read_bytes()))
    with pytest.raises(rnb.UserError, match=r"last\.ckpt is damaged.*best\.ckpt beside it is damaged too"):
        resume(folder, *make())
    last.unlink()
    with pytest.raises(rnb.UserError, match=r"best\.ckpt is damaged.*: call fit without resume to start again"):
        resume(folder, *make())


def test_what_the_advice_says_works(folder):
    whole, recording = make()
    rnb.fit(whole, recording, max_epochs=3, **FAST)
    (folder / "last.ckpt").unlink()
    twin, recording = make()
    assert len(resume(folder, twin, recording).history) == 3
    assert equal(twin, whole)


def test_a_folder_that_was_moved_goes_on_to_the_bit(folder):
    whole, recording = make()
    expected = rnb.fit(whole, recording, max_epochs=4, **FAST)
    twin, _ = make(seed=5)
    found = resume(folder, twin, recording, max_epochs=4)
    assert found.best_epoch == expected.best_epoch
    assert found.history["validation_loss"].equals(expected.history["validation_loss"])
    assert equal(twin, whole)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_nothing_in_a_checkpoint_is_executed(folder):
    class Malicious:
        def __reduce__(self):
            return Path.touch, (folder / "executed",)

    torch.save({"state_dict": Malicious()}, folder / "last.ckpt")
    with pytest.raises(rnb.UserError, match="damaged"):
        resume(folder, *make())
    torch.jit.script(torch.nn.Linear(2, 2)).save(folder / "last.ckpt")
    with pytest.raises(rnb.UserError, match="damaged"):
        resume(folder, *make())
    assert not (folder / "executed").exists()


def test_a_model_that_is_no_checkpoint_of_fit_is_told(folder):
    torch.save({"state_dict": {}, "epoch": 3}, folder / "last.ckpt")
    with pytest.raises(rnb.UserError, match="not a checkpoint of this version of fit"):
        resume(folder, *make())


@pytest.mark.parametrize("max_epochs", [1, 2])
def test_a_finished_training_gives_the_same_again(max_epochs, folder, trained):
    twin, recording = make(seed=3)
    found = resume(folder, twin, recording, max_epochs=max_epochs)
    assert len(found.history) == 2
    assert equal(twin, trained[1])


def test_a_training_that_had_stopped_by_itself_stays_so(tmp_path):
    options = {"max_epochs": 30, "learning_rate": 1e-7, "patience": 1}
    twin, recording = make()
    twin.freeze_core()  # or its statistics would still move
    first = rnb.fit(twin, recording, folder=tmp_path, **FAST | options)
    again, _ = make(seed=3)
    again.freeze_core()
    found = resume(tmp_path, again, recording, **options)
    assert len(found.history) == len(first.history) < 30
    assert equal(again, twin)


def test_a_fresh_training_in_a_used_folder_never_mixes(folder):
    fresh, recording = make(seed=5)
    options = {"learning_rate": 1e-6, "max_epochs": 1}
    rnb.fit(fresh, recording, **FAST | options)
    (folder / "notes.txt").write_text("mine")
    twin, _ = make(seed=5)
    rnb.fit(twin, recording, folder=folder, **FAST | options)
    assert equal(twin, fresh)
    assert (folder / "notes.txt").read_text() == "mine"
    again, _ = make()
    assert len(resume(folder, again, recording, **options).history) == 1
    assert equal(again, fresh)


def test_a_relative_folder_stays_where_it_was(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    twin, recording = make()
    fit = rnb.fit(twin, recording, folder="run", max_epochs=1, **FAST)
    monkeypatch.chdir("elsewhere")
    assert (fit.folder / "last.ckpt").is_file()
    assert rnb.fit(twin, recording, folder="~/run", max_epochs=1, **FAST).folder == tmp_path / "home" / "run"
    assert not list((tmp_path / "elsewhere").iterdir())
