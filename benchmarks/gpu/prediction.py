"""What `--gpus-per-trial auto` chooses for a network and promises, beside what processes were measured to do."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.gpu import Result, Size
from benchmarks.gpu.ladder import RUNGS
from benchmarks.gpu.timing import config
from benchmarks.rows import row
from tune_mixup.measuring.messages import Fault, Watch
from tune_mixup.measuring.packing import Load, pack
from tune_mixup.measuring.probe import NodeProbe, Place, together


def results(size: Size, *, net: str) -> Iterator[Result]:
    """One: the trials on a GPU that the probe chooses, and the images per second that it expects of all of them."""
    trial = config(size, size.nets[net], RUNGS["graph"])
    place = Place(cpus=1, gpus=float(size.device.type == "cuda"), where={})
    packing = pack(NodeProbe(_here, trial, 1, place), most=max(size.shared_by))
    rate = packing.per_gpu * trial.training.batch_size / packing.step_s if packing.step_s else None
    yield {"net": net, "trials": packing.per_gpu, "expected_images_per_s": rate, "words": packing.words}


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """The measured rate at what the probe chose, against the best of all that were measured."""
    made = []
    for one in own:
        measured = {
            other["trials"]: other["images_per_s"]
            for results in found.values()
            for other in results
            if (other.get("net"), other.get("way")) == (one["net"], "processes")
        }
        chosen = measured.get(one["trials"])
        best = max(measured.values(), default=None)
        expected = one["expected_images_per_s"]
        promised = f"expected {expected:,.0f} images/s; " if expected else ""
        made.append(
            row(
                f"{one['net']}: what auto chose, of the best",
                ours=chosen,
                other=best,
                unit="images/s",
                value=100 * chosen / best if chosen and best else None,
                value_unit="%",
                at_least=95,
                note=f"{promised}{one['words']}",
            )
        )
    return made


def _here(watch: Watch, copies: int, place: Place) -> Load | Fault:
    return together(watch, copies)
