"""Prints, as JSON, which variables a Ray worker of `connected` was started with, and this process's own afterwards.

python worker_sees.py ADDRESS|local NAME=VALUE ...
"""

import json
import os
import sys

from tune_mixup.cluster.connection import connected


def started_with(names):
    with open("/proc/self/environ") as file:
        given = dict(entry.split("=", 1) for entry in file.read().split("\0") if "=" in entry)
    return {name: given[name] for name in names if name in given}


def main(address, *assignments):
    environment = dict(assignment.split("=", 1) for assignment in assignments)
    with connected(None if address == "local" else address, environment):
        import ray

        seen = ray.get(ray.remote(num_cpus=1)(started_with).remote(list(environment)))
    print(json.dumps([seen, {name: os.environ.get(name) for name in environment}]))


if __name__ == "__main__":
    main(*sys.argv[1:])
