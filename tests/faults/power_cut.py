"""Run by `test_power_cut.py`, as root: a sweep on a file system whose disk is copied at random moments, unflushed.

    python power_cut.py FOLDER CUTS

What the kernel has not yet written is missing from a copy, as after a power cut. Each copy is mounted, its record is
looked at, and the sweep finished on it, which must come to what the sweep without a cut has come to. Trials train for
real, on made-up images. Exits with 1 and says what was lost.
"""

import os
import random
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from real_sweep import CONFIG, outcome, work

from tune_mixup.record import folder, trial_folder
from tune_mixup.record.journal import Journal
from tune_mixup.record.sweep_record import SweepRecord
from tune_mixup.training import checkpoint

FSYNC = os.fsync


@contextmanager
def mounted(image, at):
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)


class Cutter:
    """Copies the disk at chosen ones of the writes, each of which may also find one file or another written back."""

    def __init__(self, image, folder, root, at):
        self.image, self.folder, self.root, self.at = image, folder, root, at
        self.count, self.copies, self.saved, self.rng = 0, [], {}, random.Random(1)

    def __call__(self):
        self.count += 1
        if self.rng.random() < 0.1:  # the kernel writes back what it likes, when it likes
            path = self.rng.choice([p for p in self.root.rglob("*") if p.is_file()])
            with open(path, "rb") as file:
                FSYNC(file.fileno())
        if self.count in self.at:
            copy = self.folder / f"cut-{self.count}.img"
            subprocess.run(["cp", "--sparse=always", self.image, copy], check=True)
            self.copies.append((copy, dict(self.saved)))


def watch(cutter):
    """Have every write of the record and of the states tell the cutter, before and after."""

    def around(owner, name):
        call = getattr(owner, name)

        def told(*args, **kwargs):
            cutter()
            result = call(*args, **kwargs)
            cutter()
            return result

        setattr(owner, name, told)
        return lambda: setattr(owner, name, call)

    modules = [(folder, "append_row"), (trial_folder, "append_row"), (trial_folder, "write_atomically")]
    places = [(Journal, "append_logs"), (checkpoint, "save"), (os, "fsync"), *modules]
    return [around(*place) for place in places]


def look(record, saved, problems, name):
    """What must hold right after the cut, before anything is mended."""
    for trial in record.study.asked():
        kept = record.folder.trial(trial.number)
        epochs = [row["epoch"] for row in kept.read_epochs()]
        full = {"train_loss", "val_nll", "val_accuracy", "lr", "epoch_s"}
        if trial.state.is_finished() and trial.last_step is not None:
            if epochs != list(range(1, trial.last_step + 1)) or not all(full <= r.keys() for r in kept.read_epochs()):
                problems.append(f"{name}: trial {trial.number} has ended with rows {epochs} of {trial.last_step}")
        elif not trial.state.is_finished() and saved.get(trial.number):
            state, _ = checkpoint.peek(kept.checkpoint)
            if state is None or state["epoch"] < saved[trial.number]:
                problems.append(f"{name}: trial {trial.number} lost the state of epoch {saved[trial.number]}")
    billed = {(row["trial"], row["epoch"]) for row in record.folder.metered()}
    ended = [t for t in record.study.asked() if t.state.is_finished() and t.last_step]
    missing = [(t.number, e) for t in ended for e in range(1, t.last_step + 1) if (t.number, e) not in billed]
    if missing:
        problems.append(f"{name}: the GPU time of {missing} is missing")


def main():
    place, cuts = Path(sys.argv[1]), int(sys.argv[2])
    image, blank = place / "disk.img", place / "blank.img"
    with open(blank, "wb") as file:
        file.truncate(48 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", blank], check=True)

    def sweep(cutter_at):
        shutil.copy(blank, image)
        with mounted(image, place / "disk") as disk:
            record = SweepRecord.create(disk, "s", CONFIG.model_dump(mode="json"), direction=CONFIG.direction)
            cutter = Cutter(image, place, record.path, cutter_at)
            restore = watch(cutter)
            trained = work(record, cutter.saved)
            for undo in restore:
                undo()
            return outcome(record), cutter, trained

    whole, counted, epochs = sweep(())
    states = {state for _, state, *_ in whole}
    assert states == {"COMPLETE", "PRUNED"}, states
    at = random.Random(cuts).sample(range(1, counted.count * 9 // 10), cuts)  # how often states are saved varies
    again, cutter, _ = sweep(set(at))
    assert again == whole and len(cutter.copies) == cuts
    problems, repeated = [], 0
    for copy, saved in cutter.copies:
        with mounted(copy, place / "copy") as disk:
            record = SweepRecord.open(disk / "s")
            look(record, saved, problems, copy.stem)
            ended = sum(len(record.folder.trial(t.number).read_epochs()) for t in record.study.asked())
            repeated += work(record) - (epochs - ended)
            if outcome(SweepRecord.open(disk / "s")) != whole:
                problems.append(f"{copy.stem}: it came to another end")
        copy.unlink()
    print(f"{cuts} cuts among {counted.count} writes, {len(problems)} lost something, {repeated} epochs trained again")
    print("\n".join(problems))
    sys.exit(1 if problems else 0)


main()
