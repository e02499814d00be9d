"""The curves of a few fixed trials are those of the file: no change of the code changes a number without saying so."""

import copy
import json
import math
from pathlib import Path

import pytest
from golden_losses import CONFIGURATIONS, KEPT, curve, machine

STORED = json.loads(Path(__file__).with_name("golden_losses.json").read_text())
TOLERANCE = 5e-4
"""How far a number may be from the stored one, absolute and relative, on another processor or torch.

Rounding differs among processors, and each step builds on the one before: on an AMD EPYC of the family 25 with AVX512 a
loss was 1.6e-4 away after two epochs.
"""
PAIRED_BY_OUTCOME = {"generalized_mixup"}
"""Partners are drawn by what the model has confused so far: from the second epoch on a rounding error, of 1e-5 in the
counts between torch 2.11 and 2.14, makes other pairs. Elsewhere than on the file's machine the first epoch counts."""
HOW = "if that is meant, run tests/training/golden_losses.py in a commit that says why"


def differences(found, stored, *, exact):
    """A line for each number that is another than the stored one, and for each epoch or metric too many or missing."""
    if len(found) != len(stored):
        return [f"{len(found)} epochs, {len(stored)} are stored"]
    lines = []
    for epoch, (here, there) in enumerate(zip(found, stored, strict=True), start=1):
        for key in sorted({*here, *there}):
            one, other = here.get(key, math.nan), there.get(key, math.nan)
            near = not exact and math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
            if one != other and not near:
                lines.append(f"epoch {epoch}: {key} is {one!r}, stored is {other!r}")
    return lines


def test_every_configuration_is_stored_with_every_metric():
    assert STORED["curves"].keys() == CONFIGURATIONS.keys()
    for epochs in STORED["curves"].values():
        assert len(epochs) == 3 and all(tuple(epoch) == KEPT for epoch in epochs)
        assert all(math.isfinite(value) for epoch in epochs for value in epoch.values())
    assert len({json.dumps(epochs) for epochs in STORED["curves"].values()}) == len(CONFIGURATIONS)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_curve_is_the_stored_one(name):
    exact = machine() == {key: STORED[key] for key in ("processor", "torch")}
    comparable = slice(1) if name in PAIRED_BY_OUTCOME and not exact else slice(None)
    found = differences(curve(name)[comparable], STORED["curves"][name][comparable], exact=exact)
    assert not found, f"{name}{'' if exact else f' (on {machine()}, to {TOLERANCE:g})'}: {'; '.join(found)}; {HOW}"


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_changed_number_is_found(name):
    """The last digit where the machine is that of the file; more than the tolerance elsewhere, in each number."""
    stored = STORED["curves"][name]
    assert differences(stored, stored, exact=True) == differences(stored, stored, exact=False) == []
    for epoch in range(len(stored)):
        for key in KEPT:
            changed = copy.deepcopy(stored)
            value = stored[epoch][key]
            changed[epoch][key] = math.nextafter(value, math.inf)
            assert len(differences(changed, stored, exact=True)) == 1
            assert differences(changed, stored, exact=False) == []
            changed[epoch][key] = value + 2 * TOLERANCE * max(1, value)
            (line,) = differences(changed, stored, exact=False)
            assert line.startswith(f"epoch {epoch + 1}: {key} is ")


def test_a_missing_epoch_a_missing_metric_and_what_is_no_number_are_found():
    stored = STORED["curves"]["erm"]
    for exact in (True, False):
        assert differences(stored[:-1], stored, exact=exact) == ["2 epochs, 3 are stored"]
        fewer = [{key: value for key, value in epoch.items() if key != "val_ece"} for epoch in stored]
        assert len(differences(fewer, stored, exact=exact)) == 3
        assert len(differences([{**stored[0], "val_nll": math.nan}, *stored[1:]], stored, exact=exact)) == 1


def test_a_changed_setting_changes_the_curve(monkeypatch):
    """The trial itself is what is compared: one other setting, and the comparison fails."""
    monkeypatch.setitem(CONFIGURATIONS, "mixup", {"mixing.name": "mixup", "mixing.alpha": 0.401})
    assert differences(curve("mixup"), STORED["curves"]["mixup"], exact=False)
