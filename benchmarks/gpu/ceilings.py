"""The two rates that every limit is made of, measured: a copy on the device, and matrix products."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.gpu import Result, Size
from benchmarks.gpu.limits import ceilings, counts, series_limit
from benchmarks.rows import row


def results(size: Size) -> Iterator[Result]:
    """One: the ceilings, and for each network what a step needs and the series limits, in images per second."""
    found = ceilings(size)
    nets = {}
    for net in size.nets:
        per_image = counts(size, net)
        limits = {name: series_limit(found, per_image, fused=name == "fused") for name in ("eager", "fused")}
        nets[net] = {**per_image, "limits": limits}
    yield {**found, "nets": nets}


def rows(own: Sequence[Result], found: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """The rates, and the series limit of each network."""
    made = []
    for one in own:
        made += [
            row("copy on the device, read and written", value=one["copy_bytes_per_s"] / 1e12, value_unit="TB/s"),
            row("matrix product of bf16", value=one["bf16_flops"] / 1e12, value_unit="TFLOP/s"),
            *(
                row(f"{net}: series limit", value=known["limits"]["eager"], value_unit="images/s")
                for net, known in one["nets"].items()
            ),
        ]
    return made
