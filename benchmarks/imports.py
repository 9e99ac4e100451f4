"""Until a twin can be used: importing the package and loading a twin, against importing openretina's models alone."""

import sys

from benchmarks.machine import measured
from benchmarks.pairs import LIMIT, Measurement, Options, Refused
from benchmarks.peer_models import CHUNK, both, peer_model, settle

SESSION = "one"
# Timed is what comes before `seconds`; then a response, so that it is known to work.
_SCRIPTS = {
    "ours": "import retina_nb as rnb; model = rnb.load_twin({path!r}); {then}",
    "peer": "from openretina.models.core_readout import UnifiedCoreReadout as Model; {then}",
}
_THEN = {
    "ours": "import torch",
    "peer": "import torch; model = Model.load_from_checkpoint({path!r}, map_location='cpu', weights_only=False).eval()",
}
_TIMED = (
    "import json, time; started = time.perf_counter(); {script}; "
    "rate = float(model(torch.ones(1, 2, {bins}, 18, 16), {session!r}).mean()); "
    "print(json.dumps(dict(seconds=seconds, rate=rate)))"
)


def measure(name: str, options: Options) -> Measurement:
    """Fresh processes of both in turn, after one of each that reads their files from the disk."""
    path = options.folder / "import.ckpt"
    both(settle(peer_model("low_res", {SESSION: 100}), "low_res"), path)
    commands = {}
    for who, script in _SCRIPTS.items():
        then = f"seconds = time.perf_counter() - started; {_THEN[who].format(path=str(path))}"
        timed = _TIMED.format(script=script.format(path=str(path), then=then), bins=CHUNK, session=SESSION)
        commands[who] = [sys.executable, "-W", "ignore", "-c", timed]
    runs = {who: [measured(command, wait_s=0)] for who, command in commands.items()}
    for repetition in range(options.repetitions):
        for who in ("ours", "peer") if repetition % 2 else ("peer", "ours"):
            runs[who].append(measured(commands[who], wait_s=options.wait_s))
    failed = [run["failed"] for one in runs.values() for run in one if "failed" in run]
    if failed:
        raise Refused(failed[0])
    ours, peer = (runs[who][0]["rate"] for who in ("ours", "peer"))
    if abs(ours - peer) > LIMIT * abs(peer):
        raise Refused(f"the loaded models differ: {ours} and {peer}")
    times = {who: [run["seconds"] for run in one[1:]] for who, one in runs.items()}
    others = [max(pair) for pair in zip(*([run["others"] for run in one[1:]] for one in runs.values()), strict=True)]
    work = "import and load a twin; openretina: import alone"
    return Measurement(work, times["ours"], times["peer"], abs(ours - peer) / abs(peer), others=others)
