"""What one worker has compiled, the next one on the same host finds: torch's caches lie in a folder of the host."""

import json
import os
import subprocess
import sys

import pytest

TRIAL = """
import json, torch
from torch._dynamo.utils import counters
from tune_mixup import Trainer, TrialConfig
torch.set_num_threads(1)
settings = {"data.name": "synthetic", "data.num_train": 100, "data.num_test": 20, "data.size": 8,
    "data.batches": "shuffled", "mixing.name": "mixup", "mixing.alpha": ALPHA, "model.name": "tiny_resnet",
    "model.width": 2, "training.batch_size": 40, "training.epochs": 1, "training.compile": "step"}
Trainer(TrialConfig.from_dotted(settings)).run()
print(json.dumps({key: counters["inductor"][key] for key in ("fxgraph_cache_hit", "fxgraph_cache_miss")}))
"""


@pytest.mark.slow
def test_a_second_worker_compiles_nothing(tmp_path):
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    counts = []
    for alpha in ("0.5", "1.5"):
        script = TRIAL.replace("ALPHA", alpha)
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        counts.append(json.loads(done.stdout.splitlines()[-1]))
    assert counts[0]["fxgraph_cache_miss"] > 0
    assert counts[1]["fxgraph_cache_hit"] > 0 and counts[1]["fxgraph_cache_miss"] == 0
