"""Two processes train as one does: with gloo on CPUs, started by Lightning from this file as a script."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb.loaders.batches import SharedBatches

FAST = {"chunk_size": 40, "accelerator": "cpu", "learning_rate": 0.03}
# Sessions of their own movies. Of 18 chunks, the last batch has one: the second process has none, and of the other
# batches perhaps none of the small session.
TIMES = {"a": 620, "b": 300}


def make(*overrides):
    recordings = {name: small_recording(name, neurons=3, time=time, seed=time) for name, time in TIMES.items()}
    return rnb.build_twin("simulated_retina", recordings, overrides=[*TINY, *overrides]), recordings


def plain(folder, devices):
    twin, recordings = make("readout.feature_penalty=0.1")
    return twin, rnb.fit(twin, recordings, max_epochs=4, batch_size=3, devices=devices, **FAST)


def last_batch_of_one(folder, devices):
    twin, recordings = make()
    chunks = len(SharedBatches(recordings, split="train", lag=twin.lag, chunk_size=40, batch_size=1))
    options = {"batch_size": chunks - 1, "strategy": "ddp" if devices == 2 else "auto"}
    return twin, rnb.fit(twin, recordings, max_epochs=2, devices=devices, **options, **FAST)


def session_speeds(folder, devices):
    twin, recordings = make("core.session_speeds=true")
    return twin, rnb.fit(twin, recordings, max_epochs=2, batch_size=3, devices=devices, **FAST)


def frozen_core(folder, devices):
    twin, recordings = make()
    twin.freeze_core()
    options = {"loss": "mse", "neuron_weights": "rate"}
    return twin, rnb.fit(twin, recordings, max_epochs=2, batch_size=4, devices=devices, **options, **FAST)


def resumed(folder, devices):
    twin, recordings = make()
    options = {"batch_size": 4, "devices": devices, "folder": folder / "run", "loggers": ["csv"], **FAST}
    if devices == 2:
        rnb.fit(twin, recordings, max_epochs=2, **options)
        twin, _ = make()
        options["resume"] = True
    return twin, rnb.fit(twin, recordings, max_epochs=4, **options)


def diverging(folder, devices):
    twin, recordings = make()
    with pytest.raises(rnb.UserError, match="training diverged"):
        rnb.fit(twin, recordings, max_epochs=4, batch_size=4, devices=devices, **FAST | {"learning_rate": 1e30})
    return twin, None


CASES = (plain, last_batch_of_one, session_speeds, frozen_core, resumed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes left what they trained."""
    folder = tmp_path_factory.mktemp("two")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, __file__, str(folder)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_two_processes_train_as_one(case, folder, tmp_path):
    twin, fit = case(tmp_path, devices=1)
    for process in range(2):
        state, history, best_epoch = torch.load(folder / f"{case.__name__}_{process}.pt", weights_only=False)
        assert best_epoch == fit.best_epoch
        for column in ("loss", "validation_loss", "validation_correlation", "learning_rate"):
            torch.testing.assert_close(history[column], fit.history[column].tolist(), rtol=1e-4, atol=1e-5)
        for name, value in twin.state_dict().items():
            torch.testing.assert_close(
                state[name], value, rtol=1e-3, atol=1e-4, msg=lambda text, n=name: f"{n}: {text}"
            )


def test_the_first_process_alone_writes(folder):
    files = {str(path.relative_to(folder / "run")) for path in (folder / "run").rglob("*") if path.is_file()}
    assert files >= {"best.ckpt", "last.ckpt", "logs/csv/metrics.csv"}
    assert {name.split("/")[0] for name in files} == {"best.ckpt", "last.ckpt", "logs"}
    assert len(list((folder / "run").rglob("metrics.csv"))) == 1


def test_every_chunk_of_a_batch_is_in_one_process():
    twin, recordings = make()
    options = {"split": "train", "lag": twin.lag, "chunk_size": 40, "batch_size": 5, "seed": 3}
    whole = SharedBatches(recordings, **options)
    parts = [SharedBatches(recordings, **options, process=process, processes=3) for process in range(3)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sum(len(share.stimulus) for share in shares) == len(batch.stimulus)
        for session, target in batch.targets.items():
            weights = sum(share.targets[session].weights.sum() for share in shares)
            responses = sum(share.targets[session].responses.sum() for share in shares)
            assert weights == target.weights.sum()
            torch.testing.assert_close(responses, target.responses.sum())


def test_what_lightning_refuses_is_told():
    twin, recordings = make()
    with pytest.raises(rnb.UserError, match="Lightning cannot train so"):
        rnb.fit(twin, recordings, strategy="nonsense", devices=2)


def test_a_notebook_is_told_to_use_a_script(monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    twin, recordings = make()
    with pytest.raises(rnb.UserError, match="a notebook trains on one device"):
        rnb.fit(twin, recordings, devices=2, accelerator="cpu")


SMALL = "{sessions: 2, cells_per_session: 5, clips: 12, test_clips: 1, repeats: 4}"
SCRIPT = Path(__file__).parents[1] / "scripts" / "train_on_many_gpus.py"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def train_by_script(places, processes, folder):
    """Run the script in processes that have these variables of the environment, as a cluster would."""
    arguments = ["--settings", SMALL, "--max-epochs", "1", "--accelerator", "cpu", "--output", str(folder)]
    command = [sys.executable, str(SCRIPT), *places, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MASTER_PORT": free_port()}
    started = [
        subprocess.Popen(command, env=environment | one, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for one in processes
    ]
    ended = [one.communicate(timeout=240) for one in started]
    assert [one.returncode for one in started] == [0, 0], ended
    assert "the twin is in" in ended[0][0]
    assert "the twin is in" not in ended[1][0]
    assert rnb.load_twin(folder / "twin.safetensors").sessions == ["simulated_1", "simulated_2"]


def test_the_script_trains_on_two_nodes_of_a_cluster(tmp_path):
    """Lightning finds SLURM's variables."""
    job = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NODELIST": "127.0.0.1"}
    job |= {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "test"}
    processes = [job | {"SLURM_PROCID": node, "SLURM_NODEID": node, "SLURM_LOCALID": "0"} for node in "01"]
    train_by_script(["--nodes", "2"], processes, tmp_path)


def test_the_script_trains_by_torchrun(tmp_path):
    """The variables that torchrun sets."""
    job = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    processes = [job | {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": "0"} for rank in "01"]
    train_by_script(["--devices", "2"], processes, tmp_path)


def main(folder):
    torch.set_num_threads(1)
    for case in CASES:
        twin, fit = case(folder, devices=2)
        process = torch.distributed.get_rank()
        numbers = {name: column.tolist() for name, column in fit.history.items()}
        torch.save((twin.state_dict(), numbers, fit.best_epoch), folder / f"{case.__name__}_{process}.pt")
    diverging(folder, devices=2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
