"""What every stopping rule promises: its decisions are a function of the reports on record, in any order of trials."""

import json
import random

from tune_mixup.stopping.base import Objective, Seat

EPOCHS = 15
SPARED = 5
"""The trial of the control group."""


class StoppingContract:
    """Derive from it and give `settings`; the tests of the derived class are those of your rule."""

    def settings(self):
        """The settings to try."""
        raise NotImplementedError

    def rule(self, direction):
        return self.settings().rule(Objective("val_nll", direction), epochs=EPOCHS)

    def seat_of(self, trial):
        return Seat(tuple(self.settings().rungs(EPOCHS)), "ab"[trial % 2], spared=trial == SPARED)

    def sweeps(self):
        """Sweeps with their decisions: (direction, [(trial, epoch, value, decision)])."""
        for seed in range(30):
            direction = ("maximize", "minimize")[seed % 2]
            rule, gone, made = self.rule(direction), set(), []
            for trial, epoch, value in reports(seed):
                if trial not in gone:
                    decision = rule.report(trial, epoch, value, self.seat_of(trial))
                    made.append((trial, epoch, value, decision))
                    gone |= {trial} if decision is not None and decision.stop else set()
            yield direction, made

    def test_it_is_the_same_after_its_plain_form(self):
        settings = self.settings()
        assert type(settings).parse(settings.model_dump(mode="json")) == settings

    def test_it_decides_something_unless_it_stops_nothing(self):
        decisions = [decision for _, made in self.sweeps() for *_, decision in made if decision is not None]
        settings = self.settings()
        assert any(decision.stop for decision in decisions) == (settings.has_rungs or settings.needs_every_epoch)

    def test_the_control_group_goes_on_whatever_comes_out(self):
        for _, made in self.sweeps():
            assert not [one for one in made if one[0] == SPARED and one[3] is not None and one[3].stop]

    def test_decisions_are_facts_in_one_line_that_json_can_hold(self):
        for _, made in self.sweeps():
            for trial, epoch, _, decision in made:
                if decision is not None:
                    assert json.loads(json.dumps(decision.plain())) == decision.plain()
                    assert decision.epoch == epoch and decision.by and "\n" not in decision.why
                    assert decision.why.startswith(f"epoch {epoch}: "), (trial, decision)

    def test_the_same_reports_bring_the_same_decisions(self):
        assert list(self.sweeps()) == list(self.sweeps())

    def test_a_restored_rule_decides_the_rest_alike_in_whatever_order_it_was_told(self):
        for seed, (direction, made) in enumerate(self.sweeps()):
            rng = random.Random(seed)
            half = rng.randrange(len(made))
            for told in (sorted(new(made[:half])), shuffled(new(made[:half]), rng)):
                rule = self.rule(direction)
                for trial, epoch, value in told:
                    rule.note(trial, epoch, value, self.seat_of(trial))
                for trial, epoch, value, decision in made[half:]:
                    assert rule.report(trial, epoch, value, self.seat_of(trial)) == decision

    def test_a_report_of_an_epoch_gone_by_counts_for_nothing(self):
        for direction, made in self.sweeps():
            rule, latest = self.rule(direction), {}
            for trial, epoch, value, decision in made:
                if epoch > latest.get(trial, 0):
                    assert rule.report(trial, epoch, value, self.seat_of(trial)) == decision
                    latest[trial] = epoch
                    assert rule.report(trial, epoch, value + 1, self.seat_of(trial)) is None
                    assert rule.report(trial, 1, value - 1, self.seat_of(trial)) is None


def reports(seed):
    """Reports of eight trials side by side: sparse, some repeated or of epochs gone by, many of equal value."""
    rng = random.Random(seed)
    at = {}
    for _ in range(rng.randrange(40, 120)):
        trial = rng.randrange(8)
        epoch = max(1, at.get(trial, 0) + rng.choice([1, 1, 1, 2, 7, 0, -3]))
        if epoch < EPOCHS:
            at[trial] = max(epoch, at.get(trial, 0))
            yield trial, epoch, rng.choice([0.1, 0.2, rng.random()])


def new(made):
    """What a session writes down: a trial's reports of epochs that it had not passed."""
    latest = {}
    for trial, epoch, value, _ in made:
        if epoch > latest.get(trial, 0):
            latest[trial] = epoch
            yield trial, epoch, value


def shuffled(told, rng):
    """The same reports in another order of trials; each trial's own stay in order."""
    told = list(told)
    queues = {trial: [one for one in told if one[0] == trial] for trial, _, _ in told}
    order = [trial for trial, _, _ in told]
    rng.shuffle(order)
    return [queues[trial].pop(0) for trial in order]
