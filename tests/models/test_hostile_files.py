"""Nothing in a file that is loaded ever runs, whatever it is called and wherever it comes from."""

import contextlib
import io
import pickle
import resource
import signal
import sys
import types
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording
from model_files import contents, sealed

import retina_nb as rnb
from retina_nb import pickles
from retina_nb.cli import main
from retina_nb.models.openretina.pickled import read_pickled

CHECKPOINT = Path(__file__).parents[1] / "golden" / "checkpoints" / "variants" / "mask_bare.ckpt"
SHIPPED = Path(rnb.__file__).parent / "twins" / "simulated.safetensors"


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch):
    """What would run a program, or decide by itself whether a file is one, fails the test."""

    def called(*_, **__):
        raise AssertionError("a loader of torch was called")

    for module, name in (
        (torch.jit, "load"),
        (torch, "load"),
        (torch.serialization, "load"),
        (torch.package, "PackageImporter"),
    ):
        monkeypatch.setattr(module, name, called)
    monkeypatch.setattr(torch._C, "import_ir_module", called)
    monkeypatch.setattr(torch._C, "import_ir_module_from_buffer", called)
    monkeypatch.setattr(pickle, "load", called)


@pytest.fixture(autouse=True)
def time_is_limited():
    def late(*_):
        raise AssertionError("it takes for ever")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class Program(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "program.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch asks for its successor
        torch.jit.script(Program()).save(str(path))
    return path.read_bytes()


def members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {one: archive.read(one) for one in archive.namelist()}


def zipped(parts, compression=zipfile.ZIP_STORED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return made.getvalue()


def disguised(content, how):
    """A program in a file that looks like something else."""
    parts = members(content)
    folder = next(iter(parts)).split("/")[0]
    checkpoint = {
        name.replace(name.split("/")[0], folder, 1): one for name, one in members(CHECKPOINT.read_bytes()).items()
    }
    match how:
        case "as it is":
            return content
        case "after other bytes":
            return b"PK\x03\x04" + bytes(60) + content
        case "after a pickle":
            return pickle.dumps({"state_dict": {}, "hyper_parameters": {}}, 2) + content
        case "after a header of safetensors":
            return (2).to_bytes(8, "little") + b"{}" + content
        case "in another folder":
            return zipped({f"other/{name}": one for name, one in parts.items()})
        case "without a folder":
            return zipped({name.split("/", 1)[1]: one for name, one in parts.items()})
        case "within a checkpoint":
            return zipped(checkpoint | {name: one for name, one in parts.items() if not name.endswith("data.pkl")})
        case "beside a checkpoint":
            return zipped(
                checkpoint | {name: one for name, one in parts.items() if "code" in name or "constants" in name}
            )
        case "compressed":
            return zipped(parts, zipfile.ZIP_DEFLATED)
    raise AssertionError(how)


HOWS = (
    *("as it is", "after other bytes", "after a pickle", "after a header of safetensors", "in another folder"),
    *("without a folder", "within a checkpoint", "beside a checkpoint", "compressed"),
)


@pytest.mark.parametrize("suffix", ["ckpt", "safetensors", "pt", ""])
@pytest.mark.parametrize("how", HOWS)
def test_a_program_is_refused_under_any_name(program, tmp_path, how, suffix):
    path = tmp_path / f"twin.{suffix}".rstrip(".")
    path.write_bytes(disguised(program, how))
    with pytest.raises(rnb.UserError, match=str(path)):
        rnb.load_twin(path)


def test_a_program_is_called_one(program, tmp_path):
    (tmp_path / "twin.ckpt").write_bytes(program)
    with pytest.raises(rnb.UserError, match=r"twin\.ckpt holds a program \(TorchScript\).*nothing of it was run"):
        rnb.load_twin(tmp_path / "twin.ckpt")


def test_the_commands_refuse_it_as_well(program, tmp_path, capsys):
    (tmp_path / "twin.ckpt").write_bytes(program)
    for words in (["card", tmp_path / "twin.ckpt"], ["convert", tmp_path / "twin.ckpt", tmp_path / "out.safetensors"]):
        assert main([str(word) for word in words]) == 2
        assert "holds a program" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["twin.ckpt"]


@pytest.mark.filterwarnings("ignore")
def test_a_training_is_not_resumed_with_a_program(program, tmp_path, monkeypatch):
    monkeypatch.undo()  # training has checkpoints of its own, which torch reads without running anything
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("a program was loaded"))
    recording = small_recording()
    twin = rnb.build_twin("simulated_retina", recording, overrides=TINY)
    (tmp_path / "last.ckpt").write_bytes(program)
    with pytest.raises((rnb.UserError, RuntimeError)):
        rnb.fit(twin, recording, max_epochs=1, folder=tmp_path, resume=True, accelerator="cpu")


def test_checkpoints_of_before_the_archive_are_refused(tmp_path):
    for name, content in (("pickle", pickle.dumps(119547037146038801333356, 2) * 3), ("tar", b"ustar" * 200)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(rnb.UserError, match=name):
            rnb.load_twin(tmp_path / name)


def with_pickle(path, content):
    parts = members(CHECKPOINT.read_bytes())
    path.write_bytes(zipped({name: content if name.endswith("data.pkl") else one for name, one in parts.items()}))
    return path


def nested_tuples(depth=60):
    """Each tuple holds the one before it twice, and the last is a key: its hash looks at all of them."""
    return b"\x80\x02}(" + b"K\x01" + b"q\x00\x86q\x00".replace(b"\x86", b"h\x00\x86") * depth + b"K\x01u."


BROKEN = {
    "a key that holds an array": b"\x80\x02}(" + pickle.dumps(np.arange(2), 2)[2:-1] + b"\x85K\x01u.",
    "tuples of tuples as a key": nested_tuples(),
    "lists in lists": b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".",
    "a state for a function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.",
    "a state for a class": b"\x80\x02copenretina.x\nThing\n}X\x01\x00\x00\x00aK\x01sb.",
    "more than memory": b"\x80\x02ccollections\nOrderedDict\n\x8b\xff\xff\xff\x7f.",
    "a storage that is no storage": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "an extension": b"\x80\x02\x82\x01.",
}


@pytest.mark.parametrize("how", BROKEN)
def test_pickles_without_end_or_sense_are_refused(tmp_path, how):
    path = with_pickle(tmp_path / "broken.ckpt", BROKEN[how])
    with pytest.raises(rnb.UserError, match=r"broken\.ckpt"):
        rnb.load_twin(path)
    (tmp_path / "data.pkl").write_bytes(BROKEN[how])
    with pytest.raises(rnb.UserError, match=r"data\.pkl"):
        pickles.load_pickle(tmp_path / "data.pkl")


def foreign(module, name, monkeypatch):
    kind = type(name, (), {"__module__": module})
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        if (above := ".".join(parts[:depth])) not in sys.modules:
            monkeypatch.setitem(sys.modules, above, types.ModuleType(parts[depth - 1]))
    monkeypatch.setattr(sys.modules[module], name, kind, raising=False)
    return kind


def hyper(**changes):
    return {"readout": {}, "n_neurons_dict": {"a": 1}, "in_shape": (1, 1, 5, 5)} | changes


def test_configurations_that_hold_themselves_are_refused(tmp_path, monkeypatch):
    node, table = (foreign("omegaconf.nodes", name, monkeypatch) for name in ("AnyNode", "DictConfig"))
    parent, own, laughing = node(), table(), table()
    parent._val, parent._parent = "${a.b}", parent
    own._content = {"a": own}
    laughing._content = {"a": 1}
    for _ in range(60):
        above = table()
        above._content = {"a": laughing, "b": laughing}
        laughing = above
    for core in (parent, own, laughing):
        torch.save({"state_dict": {}, "hyper_parameters": hyper(core=core)}, tmp_path / "cycle.ckpt")
        with pytest.raises(rnb.UserError, match=r"cycle\.ckpt"):
            rnb.load_twin(tmp_path / "cycle.ckpt")


def test_a_checkpoint_that_claims_millions_of_neurons_fills_no_memory(tmp_path):
    found = read_pickled(CHECKPOINT)
    found["hyper_parameters"] = {
        "n_neurons_dict": {"a": 5 * 10**7},
        "in_shape": (2, 1, 11, 13),
        "core": {"_target_": "x"},
        "readout": {},
    }
    torch.save(found, tmp_path / "large.ckpt")
    with pytest.raises(rnb.UserError, match="50000000, which is more than it holds"):
        rnb.load_twin(tmp_path / "large.ckpt")


def shipped():
    return contents(SHIPPED)


def put(card, place, value):
    *way, last = place.split(".")
    for name in way:
        card = card[name]
    card[last] = value


LARGE = {
    "about.neurons": {"a": 5 * 10**7},
    "about.neurons.simulated_1": 10**12,
    "config.core.hidden_channels": [10**9, 10**9],
    "config.core.temporal_kernel_sizes": [10**9, 3],
    "config.core.spatial_kernel_sizes": [60000, 3],
    "stimulus_shape": [2, 60000, 60000],
    "config.core.cut": 10**12,
}


@pytest.mark.parametrize("place", LARGE)
def test_a_small_file_that_claims_to_be_large_fills_no_memory(tmp_path, place):
    card, tensors = shipped()
    put(card, place, LARGE[place])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(rnb.UserError, match="claims"):
        rnb.load_twin(sealed(tmp_path / "claims.safetensors", card, tensors))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


ODD = {
    "rate_hz": ["30", [30], {}, True, -1, 0, float("nan"), float("inf"), 1e400],
    "pixel_um": ["50", [50.0, 50.0], False, -50],
    "stimulus_mean": ["0", {}, float("nan")],
    "stimulus_std": ["1", []],
    "unit": [3, ["spikes"]],
    "species": [{}, 3],
    "channels": ["green", [1, 2], {"a": 1}],
    "corrections": ["one", [1], 3],
    "scores": [
        "good",
        [1],
        {"cc": "0.5"},
        {"sessions": [1]},
        {"metric": "r", "sessions": {"a": "x"}},
    ],
    "neurons": [["a"], {"a": "30"}, {"a": -1}, {"a": 1.5}, {"a": True}, 30],
    "sessions": [[1], {"a": 3}],
    "source": [1],
}


@pytest.mark.parametrize("field", ODD)
def test_odd_fields_are_refused_when_loaded_saved_and_given(tmp_path, field):
    card, tensors = shipped()
    twin = rnb.load_twin("simulated")
    for value in ODD[field]:
        card["about"][field] = value
        with pytest.raises(rnb.UserError, match=rf"odd\.safetensors: about\['{field}'\] must be"):
            rnb.load_twin(sealed(tmp_path / "odd.safetensors", card, tensors))
        with pytest.raises(rnb.UserError, match=rf"about\['{field}'\] must be"):
            rnb.load_twin("simulated", about={field: value})
        twin.about[field] = value
        with pytest.raises(rnb.UserError, match=rf"about\['{field}'\] must be"):
            twin.save(tmp_path / "saved.safetensors")


def test_what_is_not_known_is_left_out_of_a_card_and_more_may_be_said(tmp_path, capsys):
    twin = rnb.load_twin(
        "simulated", about={name: None for name in ODD if name != "neurons"} | {"mine": [1, {"a": "b"}]}
    )
    twin.card()
    assert "cells        120 in 4 sessions" in capsys.readouterr().out
    assert rnb.load_twin(twin.save(tmp_path / "again.safetensors")).about["mine"] == [1, {"a": "b"}]


def test_scores_of_all_cells_are_shown_by_their_median(tmp_path, capsys):
    twin = rnb.load_twin("simulated", about={"scores": {"cc_norm": np.array([0.5, 0.25, 0.75]), "other": None}})
    rnb.load_twin(twin.save(tmp_path / "twin.safetensors")).card()
    assert "cc_norm: 0.5 (median" in capsys.readouterr().out


TEXTS = {
    "deep": '{"a":' * 100_000,
    "deep and whole": "[" * 50_000 + "]" * 50_000,
    "a list": "[]",
    "a number": "3",
    "null": "null",
    "not JSON": "{'a': 1}",
    "digits": '{"kind": ' + "9" * 10_000 + "}",
}


@pytest.mark.parametrize("how", TEXTS)
def test_odd_descriptions_are_refused(tmp_path, how):
    _, tensors = shipped()
    with pytest.raises(rnb.UserError, match=r"odd\.safetensors"):
        rnb.load_twin(sealed(tmp_path / "odd.safetensors", TEXTS[how], tensors))


def test_a_deep_about_is_refused_or_kept(tmp_path):
    card, tensors = shipped()
    deep: list = []
    for _ in range(400):
        deep = [deep]
    card["about"]["deep"] = deep
    path = sealed(tmp_path / "deep.safetensors", card, tensors)
    with contextlib.suppress(rnb.UserError):
        assert rnb.load_twin(path).about["deep"] == deep


def test_an_about_that_cannot_be_written_is_told(tmp_path):
    twin = rnb.load_twin("simulated")
    own: list = []
    own.append(own)
    for value in (own, {1, 2}, object(), 1j):
        twin.about["mine"] = value
        with pytest.raises(rnb.UserError, match="cannot be saved, its about or its config"):
            twin.save(tmp_path / "twin.safetensors")
        assert not list(tmp_path.iterdir())


SWAPS = ("text", 7, 0.5, [], {}, True, None, -1, [[]])


def places(card, before=""):
    for name, value in card.items():
        yield f"{before}{name}"
        if isinstance(value, dict):
            yield from places(value, f"{before}{name}.")


def test_any_value_of_a_description_may_be_of_another_kind(tmp_path):
    """It loads and has a card, or is refused in a sentence."""
    original, tensors = shipped()
    refused = 0
    for number, place in enumerate(places(original)):
        card, _ = shipped()
        put(card, place, SWAPS[number % len(SWAPS)])
        path = sealed(tmp_path / "swapped.safetensors", card, tensors)
        said = refusal(path)
        assert said is None or "swapped.safetensors" in said
        refused += said is not None
    assert refused > 20


def refusal(path):
    """What is said of a file that cannot be loaded and shown."""
    try:
        rnb.load_twin(path).card()
    except rnb.UserError as error:
        return str(error)
    return None


def test_flipped_bits_and_cut_ends_are_all_refused(tmp_path):
    original = SHIPPED.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "flipped.safetensors"
    for number in range(120):
        content = bytearray(original)
        if number % 4:
            content[rng.integers(8 if number % 2 else 4000, len(content))] ^= 1 << rng.integers(8)
        else:
            del content[rng.integers(len(content)) :]
        if bytes(content) == original:
            continue
        path.write_bytes(content)
        if said := refusal(path):
            assert "flipped.safetensors" in said
            continue
        # In the padding of the header.
        before = rnb.load_twin("simulated").state_dict()
        assert all(torch.equal(value, before[name]) for name, value in rnb.load_twin(path).state_dict().items())
