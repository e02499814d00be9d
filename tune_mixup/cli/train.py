"""`train`: one trial in this process, without Ray, from a search space or a file."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_mixup.activity import doing
from tune_mixup.cli.early import check_trial
from tune_mixup.cli.errors import Interrupted
from tune_mixup.cli.options import DataRoot, FromFile, FromSpace, Json, Rank, Seed, Settings, parse_settings
from tune_mixup.cli.tables import screen_width
from tune_mixup.display import display
from tune_mixup.record.names import named

if TYPE_CHECKING:
    from tune_mixup.config import TrialConfig
    from tune_mixup.record.trial_folder import Epoch
    from tune_mixup.search_space import SearchSpace
    from tune_mixup.training.trainer import Trainer

NUMBERS = {
    "val": "Validation numbers",
    "test": "Nothing was held out, so the test split was measured after each epoch. Test numbers",
}
"""What the numbers at the end are, by the split that was measured."""


def train(
    out: Annotated[
        Path,
        typer.Option(parser=named, metavar="DIR", help="The trial's folder; an interrupted trial there goes on."),
    ],
    space: FromSpace = None,
    config: FromFile = None,
    rank: Rank = None,
    set_: Settings = None,
    seed: Seed = None,
    data_root: DataRoot = None,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="CPU threads; with as many as a sweep's trials had (1) the numbers are theirs. Default: torch's.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train one configuration, without Ray; the test split stays closed unless nothing is held out for validation."""
    from tune_mixup.record.targets import check_trial as check_folder

    settings = parse_settings(set_, data_root, seed=seed)
    check_folder(out)
    with display(as_json):
        with doing("loading torch"):
            trial = configuration(space, config, rank, settings)
            from tune_mixup.training.divergence import why_diverged

        trainer = _trained(trial, out, threads, as_json)
    last = trainer.history[-1]
    if as_json:
        print(json.dumps({"event": "end", "folder": str(out), "config": trial.plain(), "metrics": last}))
    elif not trainer.diverged:
        split = trial.data.measured_split
        print("\n".join(f"{key:20} {value:.4g}" for key, value in last.items() if key.startswith(f"{split}_")))
        print(f"{NUMBERS[split]} after epoch {last['epoch']}; configuration, epochs and checkpoint are in")
        print(f"  {out}")
    if trainer.diverged:
        raise RuntimeError(f"diverged in epoch {last['epoch']}: {why_diverged(last)}; try a lower optimizer.lr")


def _trained(trial: "TrialConfig", out: Path, threads: int | None, as_json: bool) -> "Trainer":
    """Train what is left of the trial in its folder `out`, with a line for each epoch."""
    from tune_mixup.training.process import set_threads
    from tune_mixup.training.trainer import Trainer

    if threads is not None:
        set_threads(threads)
    known = _notes(out)
    with doing(f"preparing {trial.model.name} on {trial.data.name}"):
        trainer = Trainer(trial, folder=out)
    for note in _notes(out)[len(known) :]:
        print(f"tune-mixup: {note}", file=sys.stderr, flush=True)
    if not as_json:
        print(f"{trial.mixing.name}, {trial.model.name}, {trial.data.name}: {trial.training.epochs} epochs into {out}")
        if trainer.epoch:
            left = "nothing is left" if trainer.done else "going on"
            print(f"the folder holds {trainer.epoch} of {trial.training.epochs} epochs; {left}")
    try:
        trainer.run(_print_json if as_json else _Lines(trial.training.epochs))
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted after epoch {trainer.epoch}; the same command goes on in {out}") from None
    return trainer


def configuration(space: str | None, file: Path | None, rank: int | None, settings: Mapping[str, Any]) -> "TrialConfig":
    """The trial to run: a space's first baseline, or the `rank`-th of a file, under `settings`.

    Raises ValueError unless exactly one of `space` and `file` is given, and for a rank that the file does not have.
    """
    if (space is None) == (file is None):
        raise ValueError("got " + ("neither" if space is None else "both") + " of --space and --config; give one")
    if space is not None:
        if rank is not None:
            raise ValueError("--rank: chooses from a file's configurations; give it with --config only")
        check_trial(space, settings)
        from tune_mixup.space_files import load_space

        loaded = load_space(space)
        from tune_mixup.config import TrialConfig
        from tune_mixup.space_checks import check_data_named

        check_data_named(loaded.fix(settings))
        return TrialConfig.from_dotted(loaded.fixed, _first_point(loaded, settings), settings)
    assert file is not None
    from tune_mixup.analysis.configurations import STDIN, read_configurations

    found = read_configurations(file)  # before torch is imported: a file that is no good is told of at once
    name = "stdin" if file == STDIN else str(file)
    rank = 1 if rank is None else rank
    if not 1 <= rank <= len(found):
        raise ValueError(f"--rank: got {rank}, but {name} holds {len(found)}; give 1 to {len(found)}")
    return _of_file(name, found[rank - 1], settings)


def _of_file(file: str, values: Mapping[str, Any], settings: Mapping[str, Any]) -> "TrialConfig":
    """The configuration in a file under `settings`. Raises ValueError that names the file where the fault is there."""
    from tune_mixup.config import TrialConfig

    try:
        return TrialConfig.from_dotted(values, settings)
    except ValueError as error:
        try:
            TrialConfig.from_dotted(values)
        except ValueError as alone:
            if str(alone) == str(error):
                raise ValueError(f"{file}: {error}") from None
        raise


def _first_point(space: "SearchSpace", settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first baseline whose branch of the space the settings leave standing; no parameters if there is none."""
    parents = space.parents()
    for point in space.baselines:
        if all(settings.get(parent, point.get(parent)) == point.get(parent) for parent in parents & point.keys()):
            return point
    return {}


def _notes(folder: Path) -> list[str]:
    """What went wrong in a trial's folder and was mended, such as a damaged checkpoint."""
    from tune_mixup.record.trial_folder import TrialFolder

    notes = TrialFolder(folder).notes
    return notes.read_text().splitlines() if notes.exists() else []


def _print_json(report: "Epoch") -> None:
    print(json.dumps({"event": "epoch", **report}), flush=True)


class _Lines:
    """One line per epoch: where it is, what it learned, how fast. A narrow terminal shows fewer of the metrics."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def __call__(self, report: "Epoch") -> None:
        shown = [key for key in report if key.startswith(("train_", "val_", "test_")) and not key.endswith("_median")]
        width = screen_width()
        for unwanted in (*reversed(shown[3:]), *shown[1:2]):  # the first of each split stay
            if width is None or len(self._line(report, shown)) <= width:
                break
            shown.remove(unwanted)
        print(self._line(report, shown), flush=True)

    def _line(self, report: "Epoch", shown: list[str]) -> str:
        place = f"epoch {report['epoch']:{len(str(self.epochs))}}/{self.epochs}"
        metrics = "  ".join(f"{key} {report[key]:.4f}" for key in shown) or "diverged"
        return f"{place}  {metrics}  lr {report['lr']:.4g}  {report['epoch_s']:.1f} s"
