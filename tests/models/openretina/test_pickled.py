import os
import pickle
import shutil
import sys
import types
import zipfile
from collections import defaultdict

import numpy as np
import pytest
import torch

from retina_nb import UserError
from retina_nb.models.openretina.pickled import Inert, plain, read_pickled


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def foreign(module, name, monkeypatch):
    """A class that pickles under a library's name, which is not installed here."""
    kind = type(name, (), {"__module__": module})
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), types.ModuleType(parts[depth - 1]))
    setattr(sys.modules[module], name, kind)
    return kind


def checkpoint(**hyper_parameters):
    return {"state_dict": {"w": torch.arange(3.0)}, "hyper_parameters": hyper_parameters}


def test_tensors_arrays_and_containers_are_read_as_they_are(tmp_path):
    mean = {"a": np.arange(4, dtype=np.int64), "b": np.float32(2.5), "c": np.array(["x", "y"])}
    path = tmp_path / "fine.ckpt"
    torch.save(checkpoint(mean=mean, rest=defaultdict(list, z=[1]), dtype=torch.float16, size=torch.Size([2, 3])), path)
    found = read_pickled(path)
    torch.testing.assert_close(found["state_dict"]["w"], torch.arange(3.0))
    hyper = found["hyper_parameters"]
    np.testing.assert_array_equal(hyper["mean"]["a"], np.arange(4))
    assert hyper["mean"]["b"] == 2.5
    assert hyper["mean"]["c"].tolist() == ["x", "y"]
    assert hyper["rest"] == {"z": [1]}
    assert hyper["dtype"] is torch.float16


def test_objects_of_known_libraries_only_keep_their_state(tmp_path, monkeypatch):
    core = foreign("openretina.modules.core.base_core", "SimpleCoreWrapper", monkeypatch)()
    core.gamma = 0.5
    torch.save(checkpoint(core=core, relu=torch.nn.ReLU()), tmp_path / "core.ckpt")
    monkeypatch.delitem(sys.modules, "openretina.modules.core.base_core")
    hyper = read_pickled(tmp_path / "core.ckpt")["hyper_parameters"]
    assert isinstance(hyper["core"], Inert)
    assert hyper["core"].gamma == 0.5
    assert isinstance(hyper["relu"], Inert)


HOSTILE = {
    "posix.system": Call(os.system, "touch {}"),
    "builtins.eval": Call(eval, "open('{}', 'w')"),
    "builtins.exec": Call(exec, "open('{}', 'w')"),
    "builtins.getattr": Call(getattr, os, "system"),
    "torch.hub.load": Call(torch.hub.load, "somebody/model"),
    "torch.serialization.load": Call(torch.load, "{}"),
    "shutil.rmtree": Call(shutil.rmtree, "{}"),
    "numpy.load": Call(np.load, "{}"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_by_name_and_nothing_runs(what, tmp_path):
    mark = tmp_path / "mark"
    call = HOSTILE[what]
    arguments = [one.format(mark) if isinstance(one, str) else one for one in call.call[1]]
    payload = Call(call.call[0], *[one for one in arguments if one is not os])
    torch.save(checkpoint(core=payload), tmp_path / "hostile.ckpt")
    with pytest.raises(UserError, match=rf"asks for {what.replace('builtins', '(builtins|__builtin__)')}"):
        read_pickled(tmp_path / "hostile.ckpt")
    (tmp_path / "bare.ckpt").write_bytes(pickle.dumps({"state_dict": payload, "hyper_parameters": {}}))
    with pytest.raises(UserError):
        read_pickled(tmp_path / "bare.ckpt")
    assert not mark.exists()


def test_damaged_truncated_and_other_files_are_refused(tmp_path):
    whole = tmp_path / "whole.ckpt"
    torch.save(checkpoint(), whole)
    content = whole.read_bytes()
    for name, data in {
        "cut": content[: len(content) // 2],
        "flipped": content[:60] + bytes(b ^ 0xFF for b in content[60:200]) + content[200:],
        "empty": b"",
        "text": b"no checkpoint",
        "pickle": pickle.dumps([1, 2]),
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=str(tmp_path / name)):
            read_pickled(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("other/file", b"")
    with pytest.raises(UserError, match="damaged or not a checkpoint"):
        read_pickled(tmp_path / "zip")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.ckpt")
    with pytest.raises(UserError, match="not a Lightning checkpoint"):
        read_pickled(tmp_path / "other.ckpt")


def test_configurations_become_dictionaries_and_references_are_followed():
    def node(kind, **state):
        made = type(kind, (Inert,), {})()
        made.__setstate__(state)
        return made

    root = node("DictConfig", _parent=None)
    core = node("DictConfig", _parent=root, _content={"gamma": node("AnyNode", _val=0.5)})
    sizes = node("ListConfig", _content=[node("AnyNode", _val=21), node("AnyNode", _val=11)])
    core._content |= {"sizes": sizes, "lr": node("AnyNode", _val="${model.rate}", _parent=core)}
    core._content["lost"] = node("AnyNode", _val="${nowhere.at.all}", _parent=core)
    model = node("DictConfig", _parent=root, _content={"rate": node("AnyNode", _val=0.01), "core": core})
    root.__setstate__({"_content": {"model": model}})
    assert plain(core) == {"gamma": 0.5, "sizes": [21, 11], "lr": 0.01, "lost": "${nowhere.at.all}"}
    assert plain(7) == 7
