"""Two private Rays after each other in one process; prints what is left of them in the environment and the loggers."""

import json
import logging
import os
import sys

import ray

from tune_mixup.cluster.connection import connected, private_nodes

WATCHED = ("ray", "ray.tune")


def state():
    return dict(os.environ), {name: logging.getLogger(name).level for name in WATCHED}


before = state()
tokens, folders = [], []
unlike = {"memory", "object_store_memory"}  # what is free at the moment, and what Ray takes of it
(promised,) = private_nodes(None)
for _ in range(2):
    with connected(None, {"TM_FOR_WORKERS": "yes"}) as used:
        (node,) = used.nodes
        assert {key: node[key] for key in node if key not in unlike} == {
            key: promised[key] for key in promised if key not in unlike
        }
        assert private_nodes(None) is None and private_nodes("127.0.0.1:1") is None
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
