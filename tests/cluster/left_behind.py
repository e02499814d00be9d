"""Two private Rays after each other in one process; prints what is left of them in the environment and the loggers."""

import json
import logging
import os
import sys

import ray

from tune_mixup.cluster.connection import connected

WATCHED = ("ray", "ray.tune")


def state():
    return dict(os.environ), {name: logging.getLogger(name).level for name in WATCHED}


before = state()
tokens, folders = [], []
for _ in range(2):
    with connected(None, {"TM_FOR_WORKERS": "yes"}) as used:
        tokens.append(os.environ["RAY_AUTH_TOKEN"])
        folders.append(used.folder)
        assert ray.get(ray.remote(lambda: os.environ["TM_FOR_WORKERS"]).remote()) == "yes"
        assert "TM_FOR_WORKERS" not in os.environ and used.folder.exists() and used.nodes[0]["CPU"] > 0
after = state()
changed = {name: after[0].get(name) for name in {*before[0], *after[0]} if before[0].get(name) != after[0].get(name)}
print(
    json.dumps(
        {
            "changed": changed,
            "loggers": before[1] == after[1],
            "tokens": len(set(tokens)),
            "folders": [folder.exists() for folder in folders],
        }
    )
)
sys.stdout.flush()
