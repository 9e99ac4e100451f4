"""Train a twin on all GPUs of a machine, or of several. It goes on where it was interrupted, if started again.

One machine with four GPUs:

    python scripts/train_on_many_gpus.py --devices 4

Two such machines that see the same folder, by torchrun on each of them, or by SLURM:

    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \
        scripts/train_on_many_gpus.py --devices 4 --nodes 2
    sbatch scripts/train_on_many_gpus.slurm

`OUTPUT/twin.safetensors` is the twin, which notebooks load with `rnb.load_twin`. The batch size is that of all GPUs
together: more of them change the time, not the result. The learning rate may rise with a larger batch.
"""

import argparse

import yaml
from lightning.pytorch.utilities import rank_zero_only

import retina_nb as rnb

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--devices", type=int, default=1, help="GPUs in each machine")
parser.add_argument("--nodes", type=int, default=1, help="machines")
parser.add_argument("--output", default="runs/many_gpus", help="folder of checkpoints and twin, the same for all")
parser.add_argument("--dataset", default="simulated", help="one of 'retina-nb datasets'")
parser.add_argument("--settings", type=yaml.safe_load, default={}, help="of the dataset's loader: '{seed: 1}'")
parser.add_argument("--preset", default="simulated_retina", help="one of 'retina-nb presets'")
parser.add_argument("--overrides", nargs="*", default=[], help="changes to the preset: core.dropout=0.1")
parser.add_argument("--training", type=yaml.safe_load, default={}, help="of rnb.fit: '{batch_size: 96, loss: mse}'")
parser.add_argument("--max-epochs", type=int, default=40)
parser.add_argument("--accelerator", default="auto", help="'cpu' to try it without GPUs")
parser.add_argument("--seed", type=int, default=0)
asked = parser.parse_args()

recordings = rnb.load_recordings(asked.dataset, **asked.settings)
twin = rnb.build_twin(asked.preset, recordings, overrides=asked.overrides, seed=asked.seed)
rnb.fit(
    twin,
    recordings,
    max_epochs=asked.max_epochs,
    seed=asked.seed,
    folder=asked.output,
    resume=True,
    accelerator=asked.accelerator,
    devices=asked.devices,
    num_nodes=asked.nodes,
    **twin.config["training"] | asked.training,
)
# Every process has the same twin now; one is enough to score and save it.
if rank_zero_only.rank == 0:
    scores = rnb.evaluate(twin, recordings, baseline=None)
    print(scores[["correlation", "cc_norm", "cc_max"]].describe())
    print("the twin is in", twin.save(f"{asked.output}/twin.safetensors"))
