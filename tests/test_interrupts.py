"""A training that does not end by itself: Ctrl-C, signals, errors in the user's own parts, a full disk."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from helpers import TINY, small_recording
from torch import nn

import retina_nb as rnb
from retina_nb import callbacks
from retina_nb.interrupts import plain_interrupts

FAST = {"batch_size": 2, "chunk_size": 40, "accelerator": "cpu"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def make():
    recording = small_recording(time=400)
    return rnb.build_twin("simulated_retina", recording, overrides=TINY), recording


class Failing:
    """Squared error that ends otherwise after some calls."""

    def __init__(self, after, how):
        self.calls, self.after, self.how = 0, after, how

    def __call__(self, rate, response, weights):
        self.calls += 1
        if self.calls == self.after:
            self.how()
        return (rate - response).square().flatten(0, -2).mean(dim=0)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def interrupt_again_and_again():
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.raise_signal(signal.SIGINT)


def fail():
    raise ZeroDivisionError("of the user's")


def leave():
    sys.exit(3)


@pytest.fixture(autouse=True)
def handlers():
    """Ctrl-C as in a shell, whatever started the tests; and nobody may change who handles a signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    found = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == found
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def uninterrupted():
    """A twin after three epochs, its fit, a twin after two, and how often three epochs call the loss."""
    counting = Failing(0, None)
    (best, recording), (whole, _) = make(), make()
    rnb.fit(best, recording, max_epochs=2, loss=Failing(0, None), **FAST)
    return whole, rnb.fit(whole, recording, max_epochs=3, loss=counting, **FAST), best, counting.calls


@pytest.mark.parametrize(
    ("how", "error"),
    [
        (interrupt, KeyboardInterrupt),
        (interrupt_again_and_again, KeyboardInterrupt),
        (fail, ZeroDivisionError),
        (leave, SystemExit),
    ],
)
def test_a_training_that_is_ended_leaves_the_best_weights_and_can_go_on(how, error, uninterrupted, tmp_path):
    whole, expected, best, calls = uninterrupted
    threads, options = threading.active_count(), {"max_epochs": 3, "loss": Failing(0, None), **FAST}
    twin, recording = make()
    with pytest.raises(error) as told:
        rnb.fit(twin, recording, folder=tmp_path, **options | {"loss": Failing(calls - 1, how)})
    if error is KeyboardInterrupt:
        assert "training stopped after 2 epochs" in str(told.value)
    assert threading.active_count() == threads
    assert not twin.training
    assert {path.name for path in tmp_path.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert all(torch.equal(value, best.state_dict()[name]) for name, value in twin.state_dict().items())
    twin.save(tmp_path / "twin.safetensors")

    again, _ = make()
    found = rnb.fit(again, recording, folder=tmp_path, resume=True, **options)
    assert found.history["loss"].equals(expected.history["loss"])
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in again.state_dict().items())


def test_a_training_that_is_ended_in_its_first_epoch_leaves_the_twin_as_it_was():
    twin, recording = make()
    before = {name: value.clone() for name, value in twin.state_dict().items()}
    with pytest.raises(KeyboardInterrupt, match="first epoch; the twin is as it was"):
        rnb.fit(twin, recording, loss=Failing(3, interrupt), **FAST)
    assert all(torch.equal(value, before[name]) for name, value in twin.state_dict().items())
    assert not twin.training
    rnb.fit(twin, recording, max_epochs=1, **FAST)


def test_a_diverging_training_leaves_finite_weights():
    twin, recording = make()
    with pytest.raises(rnb.UserError, match="diverged"):
        rnb.fit(twin, recording, learning_rate=1e30, averaging=0.0, **FAST)
    assert all(value.isfinite().all() for value in twin.state_dict().values())


def test_a_full_disk_is_told_and_the_twin_has_the_best_weights(tmp_path, monkeypatch):
    twin, recording = make()

    def full(self, content):
        self.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(rnb.UserError, match=r"cannot write .*No space left on device"):
        rnb.fit(twin, recording, folder=tmp_path, max_epochs=3, **FAST)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    best, _ = make()
    rnb.fit(best, recording, max_epochs=1, **FAST)
    assert all(torch.equal(value, best.state_dict()[name]) for name, value in twin.state_dict().items())


def test_memory_that_is_used_up_is_told():
    twin, recording = make()

    def used_up():
        torch.empty(2**55)

    with pytest.raises(rnb.UserError, match="not enough memory: choose a smaller batch_size"):
        rnb.fit(twin, recording, loss=Failing(3, used_up), **FAST)


SCRIPT = """
import signal, sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
import test_interrupts
import retina_nb as rnb
twin, recording = test_interrupts.make()
{before}
try:
    rnb.fit(twin, recording, max_epochs=4000, folder=sys.argv[1], patience=4000, **test_interrupts.FAST)
except KeyboardInterrupt:
    twin.save(sys.argv[1] + "/twin.safetensors")
    print("saved")
"""


@pytest.mark.parametrize(
    ("number", "before", "status", "said"),
    [
        (signal.SIGINT, "signal.signal(signal.SIGINT, signal.default_int_handler)", 0, "saved"),
        (signal.SIGTERM, "", -signal.SIGTERM, ""),
        (signal.SIGTERM, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))", 7, ""),
    ],
    ids=["Ctrl-C", "SIGTERM", "SIGTERM with a handler"],
)
def test_signals_end_a_script_as_they_end_any_other(number, before, status, said, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), before=before))
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            break
    time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "Traceback" not in err
    assert out.endswith("saved\n") or not said
    assert torch.load(tmp_path / "run" / callbacks.LAST, weights_only=True)["epoch"] >= 1


def test_a_thread_may_train_too():
    """Signals belong to the main thread, so that nothing is done about them."""
    twin, recording = make()
    fits = []
    thread = threading.Thread(target=lambda: fits.append(rnb.fit(twin, recording, max_epochs=1, **FAST)))
    thread.start()
    thread.join()
    assert len(fits[0].history) == 1


def test_an_exit_that_nobody_interrupted_stays_one():
    with pytest.raises(SystemExit) as told, plain_interrupts():
        sys.exit(5)
    assert told.value.code == 5


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_that_other_code_turned_into_an_error_stays_one(ending):
    def turned():
        try:
            raise ending
        finally:
            raise RuntimeError("a file is not complete")

    with pytest.raises(ending), plain_interrupts():
        turned()


def test_errors_where_an_interrupt_is_handled_are_errors():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(ZeroDivisionError), plain_interrupts():
            fail()


def test_a_frozen_core_comes_back_to_the_cpu_and_stays_frozen():
    twin, recording = make()
    twin.freeze_core()
    core = nn.utils.parameters_to_vector(twin.core.parameters()).clone()
    with pytest.raises(KeyboardInterrupt):
        rnb.fit(twin, recording, loss=Failing(3, interrupt), **FAST)
    assert torch.equal(nn.utils.parameters_to_vector(twin.core.parameters()), core)
    assert twin.core_frozen
