"""A process that measures what it is asked, a line of JSON at a time, and ends with its standard input.

    python -m tune_mixup.measuring.bench_process

A request holds `do` (ceilings, parts or train), the trial's `config` (nested plain values), the `threads`, `steps` of
an epoch and the `seconds` to take. The answer is a JSON object too, or `fault` with the words of an error. A trial that
was asked about before is still warm.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import torch

from tune_mixup.config import TrialConfig
from tune_mixup.measuring.bench import Bench, ceilings
from tune_mixup.training.threads import set_threads


def main() -> None:
    """Answer until nobody asks any more."""
    kept: dict[str, Bench] = {}
    for line in sys.stdin:
        try:
            found = answer(json.loads(line), kept)
        except Exception as error:
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "  # the user's, in full words
            found = {"fault": f"{kind}{error}".splitlines()[0]}
        print(json.dumps(found), flush=True)


def answer(request: Mapping[str, Any], kept: dict[str, Bench]) -> dict[str, Any]:
    """What a request asks for; `kept` holds the trials that are warm, and those to come."""
    set_threads(request["threads"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = TrialConfig.parse(request["config"])
    if request["do"] == "ceilings":
        name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
        return {**ceilings(device, config.training.precision)._asdict(), "device": name}
    key = json.dumps([request["config"], request["steps"]], sort_keys=True)
    cold = key not in kept
    if cold:
        kept[key] = Bench(config, device=device, steps=request["steps"])
        rate = kept[key].train(0)  # compiles, captures and takes the memory that it will need
    bench = kept[key]
    if request["do"] == "parts":
        return {**bench.parts(request["seconds"])._asdict(), "num_train": bench.num_train}
    if not cold or request["seconds"] > 0:
        rate = bench.train(request["seconds"])
    if device.type == "cuda":
        torch.cuda.empty_cache()  # the others take their turns on the same GPU
    return {"images_per_s": rate}


if __name__ == "__main__":
    main()
