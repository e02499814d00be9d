"""Prints what workers say that modules from outside hold: ADDRESS (or `local`) and the modules' files and folders."""

import json
import sys

from tune_mixup.cluster.connection import connected


def ask(name):
    import importlib

    return importlib.import_module(name).WORD


if __name__ == "__main__":
    address, *modules = sys.argv[1:]
    with connected(None if address == "local" else address, {}, modules):
        import ray

        asked = [ray.remote(ask).remote(name) for name in ("lone_module", "whole_package.inner")]
        print(json.dumps(ray.get(asked)))
