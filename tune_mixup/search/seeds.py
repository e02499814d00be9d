"""Which seeds a sweep's record has used: what was chosen by their numbers is to be tried on others."""

from tune_mixup.record.study import facts_of, is_imported
from tune_mixup.record.sweep_record import SweepRecord


def first_fresh(record: SweepRecord) -> int:
    """The first of the seeds above all that the sweep has used, or another one that it was warm-started from."""
    return last_used(record) + 1


def last_used(record: SweepRecord) -> int:
    """The largest seed of the sweep, of its trials, replicates included, and of what it was warm-started from."""
    config = record.folder.config()
    own = int(config.get("seed", 0))
    used = {own, int(config["space"]["fixed"].get("seed", own)), record.study.sweep_facts().seeds_before or 0}
    for trial in record.study.optuna.get_trials(deepcopy=False):
        used.add(int(trial.params.get("seed", own)))
        used.add(facts_of(trial).replicate_seed or 0)
    return max(used)


def unknown_sources(record: SweepRecord) -> tuple[str, ...]:
    """The sweeps whose seeds nobody has noted: what was imported from them, before it was, may be of any seed."""
    if record.study.sweep_facts().seeds_before is not None:
        return ()
    imported = [trial for trial in record.study.optuna.get_trials(deepcopy=False) if is_imported(trial)]
    silent = (str(facts_of(trial).imported) for trial in imported if "seed" not in trial.params)
    return tuple(sorted({name.partition("/")[0] for name in silent}))
