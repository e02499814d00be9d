"""`gallery`: a picture of what the mixing methods do to real images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tune_mixup.cli.early import check_trial
from tune_mixup.cli.options import DataRoot, Force, Json, Seed, Settings, parse_settings
from tune_mixup.outline import check_mixers
from tune_mixup.record.names import named

if TYPE_CHECKING:
    from tune_mixup.mixing import Mixer


def gallery(
    to: Annotated[
        Path, typer.Option(parser=named, metavar="FILE", help="The picture; its suffix says how: .png, .pdf or .svg.")
    ],
    data: Annotated[str | None, typer.Option(metavar="NAME", help="The data set. Default: digits.")] = None,
    mixers: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Which methods. Default: all, or the one that --set mixing.name gives."),
    ] = None,
    examples: Annotated[int, typer.Option(metavar="N", min=1, help="How many pairs of each method.")] = 3,
    set_: Settings = None,
    seed: Seed = None,
    data_root: DataRoot = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw pairs, masks and mixed images of every method, with their lam; trains nothing."""
    settings = parse_settings(set_, data_root, seed=seed, data=data)
    own = any(key.startswith("mixing.") for key in settings)
    if own and mixers is not None:
        raise ValueError("gallery: got --mixers and --set mixing; give one, for the settings are of one method")

    check_trial(None, settings)
    wanted = None if mixers is None else [name.strip() for name in mixers.split(",")]
    check_mixers(wanted or [])
    from tune_mixup.record.targets import check_file

    check_file(to, overwrite=force)
    from tune_mixup.config import TrialConfig

    chosen = {} if own else _methods(wanted)
    config = TrialConfig.from_dotted(settings)

    from tune_mixup.analysis.gallery import gallery as run

    methods = chosen or {config.mixing.name: config.mixing}
    drawn, left_out = run(config, methods, to, num_examples=examples, overwrite=force)
    if as_json:
        lams = {name: [example.lam for example in row] for name, row in drawn.items()}
        print(json.dumps({"file": str(to), "lam": lams, "left_out": left_out}))
        return
    print(f"{to}: {', '.join(drawn)}")
    for name, reason in left_out.items():
        print(f"left out {name}: {reason}")


def _methods(names: Sequence[str] | None) -> "dict[str, Mixer]":
    """The methods of these names with their default settings; all of them for None."""
    from tune_mixup.mixing import MIXERS

    wanted = list(MIXERS) if names is None else names
    for name in wanted:
        if wanted.count(name) > 1:
            raise ValueError(f"--mixers: {name} is named twice; name each method once")
    return {name: MIXERS[name].parse({}) for name in wanted}
