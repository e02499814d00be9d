"""Where images lie: a closed form of sizes, and what `load` makes of the choice."""

import logging
import os
from typing import Literal

import pytest
import torch

from tune_mixup.config import TrialConfig
from tune_mixup.data import Dataset, Split, load, load_test, placing
from tune_mixup.data.ahead import in_parts
from tune_mixup.data.base import DataFault
from tune_mixup.data.loading import forget_data
from tune_mixup.data.residence import Memory, choose, memory_of
from tune_mixup.data.rows import Rows, is_mapped

CPU = torch.device("cpu")
GB = 10**9


def chosen(wanted="auto", *, images, device=80 * GB, host=100 * GB, on_cpu=False, mapped=False):
    memory = Memory(device, host)
    return choose(wanted, num_bytes=images, mapped=mapped, on_cpu=on_cpu, memory=memory)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("share", "images", "on_device"),
    [(1, 14_814_814_814, True), (1, 14_814_814_816, False), (0.25, 3_703_703_703, True), (0.25, 3_703_703_704, False)],
)
def test_a_gpu_has_images_whose_padded_copy_fits_half_of_the_trials_share(share, images, on_device, mapped):
    """2.7 times the images, in half of 80 GB: 40 / 2.7 = 14.814..."""
    found = chosen(images=images, device=int(share * 80 * GB), mapped=mapped)
    assert found.on_device == on_device and found.short != on_device
    assert "\n" not in found.words and f"{images / 1e9:.3g} GB of images" in found.words
    assert f"{share * 40:.3g} GB of the trial's {share * 80:.3g} GB" in found.words


def test_a_cpu_uses_what_is_mapped_and_copies_the_rest_where_it_fits():
    assert not chosen(images=1, on_cpu=True, mapped=True).on_device
    assert not chosen(images=1, on_cpu=True, mapped=True).short
    assert chosen(images=1, on_cpu=True).on_device
    assert chosen(images=20 * GB, on_cpu=True).short


@pytest.mark.parametrize("images", [1, 90 * GB])
@pytest.mark.parametrize("on_cpu", [False, True])
def test_the_choice_can_be_forced(images, on_cpu):
    assert chosen("device", images=images, on_cpu=on_cpu, mapped=True).on_device
    assert not chosen("host", images=images, on_cpu=on_cpu).on_device
    assert "(data.residence=host)" in chosen("host", images=images).words


@pytest.mark.parametrize(("wanted", "on_cpu"), [("auto", False), ("host", False), ("auto", True), ("host", True)])
def test_what_the_host_has_no_memory_for_is_refused_with_the_sizes(wanted, on_cpu):
    with pytest.raises(ValueError, match=r"got 100 GB of images.* this host's 100 GB of memory; take fewer") as caught:
        chosen(wanted, images=100 * GB + 1, on_cpu=on_cpu)
    assert ("40 GB of the trial's 80 GB" in str(caught.value)) != on_cpu and "\n" not in str(caught.value)
    assert not chosen(wanted, images=100 * GB, on_cpu=on_cpu).on_device


def test_the_memory_of_a_cpu_is_that_of_the_host():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_of(CPU, share=0.25) == Memory(int(memory * 0.25), memory)


class Numbered(Dataset):
    """60 images, the first channel of which numbers them; another `tint` is another content."""

    name: Literal["numbered"] = "numbered"
    tint: int = 0

    def read_train(self):
        targets = torch.arange(60) % 3
        images = torch.full((60, 2, 3, 3), self.tint, dtype=torch.uint8)
        images[:, 0] = torch.arange(60)[:, None, None]
        return Split(images, targets), ("ant", "bee", "cow")

    def read_test(self):
        whole, _ = self.read_train()
        return Split(whole.images[7:47] + 100, whole.targets[7:47])


class WithValidation(Numbered):
    def read_validation(self):
        return Split(self.read_test().images + 50, self.read_test().targets)


@pytest.fixture(autouse=True)
def nothing_read():
    forget_data()
    yield
    forget_data()


def read(kind=Numbered, **settings):
    return load(kind(**settings), seed=settings.pop("seed", 0), device=CPU)


@pytest.mark.parametrize("kind", [Numbered, WithValidation])
@pytest.mark.parametrize("validation_fraction", [0.2, 0.0])
@pytest.mark.parametrize("crop", [None, (2, 1)])
def test_host_and_device_hold_the_same(kind, validation_fraction, crop, tmp_path):
    """Where nothing is held out the test split is measured, of which the file, called by the rest, has nothing."""
    settings = {"root": tmp_path, "validation_fraction": validation_fraction, "crop": {"size": crop}}
    held, mapped = read(kind, **settings), read(kind, residence="host", **settings)
    for name in ("train", "validation"):
        one, other = held.__dict__[name], mapped.__dict__[name]
        assert isinstance(one.images, torch.Tensor) and isinstance(other.images, Rows)
        assert torch.equal(one.images, other.images[:]) and torch.equal(one.targets, other.targets)
        assert torch.equal(one.images, torch.cat([part.clone() for part in in_parts(other.images, 7, device=CPU)]))
    assert held.size == mapped.size == (crop or (3, 3))
    assert torch.equal(held.mean, mapped.mean) and torch.equal(held.std, mapped.std)
    assert held.fingerprint == mapped.fingerprint and held.class_order == mapped.class_order
    assert is_mapped(mapped.train.images.stored)
    assert is_mapped(mapped.validation.images.stored) == (validation_fraction > 0)
    (file,) = (tmp_path / placing.FOLDER).glob("*.pt")
    assert file.stem == held.fingerprint


def test_one_file_holds_the_images_once_for_all_seeds_and_limits(tmp_path):
    first = load(Numbered(root=tmp_path, residence="host"), seed=0, device=CPU)
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / placing.FOLDER).iterdir() if file.suffix == ".pt"}
    second = load(Numbered(root=tmp_path, residence="host", train_limit=30), seed=1, device=CPU)
    assert len(second.train.images) == 27 and len(first.train.images) == 54
    assert torch.equal(second.train.images[:][:, 0, 0, 0] % 3, second.train.targets)
    assert {file: file.stat().st_mtime_ns for file in files} == files and len(files) == 1


class Large(Numbered):
    def read_train(self):
        return Split(torch.zeros(60, 2, 300, 300, dtype=torch.uint8), torch.arange(60) % 3), ("ant", "bee", "cow")


def test_training_and_validation_share_what_is_stored(tmp_path):
    read(Large, root=tmp_path, residence="host")
    (file,) = (tmp_path / placing.FOLDER).glob("*.pt")
    assert file.stat().st_size < 1.01 * 60 * 2 * 300 * 300


def test_other_content_has_another_file(tmp_path):
    for tint in (0, 7):
        assert read(root=tmp_path, residence="host", tint=tint).train.images[:][:, 1].unique().tolist() == [tint]
    assert len([*(tmp_path / placing.FOLDER).glob("*.pt")]) == 2


def test_a_damaged_file_is_made_anew(tmp_path):
    read(root=tmp_path, residence="host")
    (file,) = (tmp_path / placing.FOLDER).glob("*.pt")
    file.write_bytes(file.read_bytes()[:100])
    forget_data()
    assert sorted(read(root=tmp_path, residence="host").train.images[:][:, 0, 0, 0].tolist())[-1] >= 54


def test_a_root_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "root").write_text("a file")
    with pytest.raises(DataFault, match=r"can't be stored in .*set data.root") as caught:
        read(root=tmp_path / "root", residence="host")
    assert "\n" not in str(caught.value)
    assert len(read(root=tmp_path / "root").train.images) == 54  # on the device no file is needed


GPU = torch.device("meta")
"""As far as where images go is concerned."""


@pytest.mark.parametrize("splits", ["train and validation", "test"])
def test_images_that_do_not_fit_the_share_lie_on_the_host_which_is_said(splits, tmp_path, monkeypatch, caplog):
    """60 images of 18 bytes need 2,916 with a padded copy, 40 need 1,944; a half of a trial's share is for them."""
    needed = {"train and validation": 2917, "test": 1945}[splits]
    monkeypatch.setattr(placing, "memory_of", lambda device, share: Memory(int(4 * needed * share), 10**6))
    dataset = Numbered(root=tmp_path)
    found = []
    with caplog.at_level(logging.INFO, "tune_mixup.data"):
        for share in (0.5, 0.49):
            if splits == "test":
                found.append(load_test(dataset, device=GPU, share=share))
            else:
                found.append(load(dataset, seed=0, device=GPU, share=share).train)
    assert [type(one.images) for one in found] == [torch.Tensor, Rows]
    assert found[0].images.device == GPU and all(one.targets.device == GPU for one in found)
    said, warned = caplog.records
    assert said.levelno == logging.INFO and "lie on the device" in said.message
    assert warned.levelno == logging.WARNING and "lie on the host, in one copy for all trials" in warned.message


def test_images_that_fit_nowhere_are_a_fault_of_the_data(tmp_path, monkeypatch):
    monkeypatch.setattr(placing, "memory_of", lambda device, share: Memory(1000, 1000))
    with pytest.raises(DataFault, match=r"got 1.08e-06 GB of images"):
        read(root=tmp_path)


def test_the_test_split_may_lie_on_the_host_too(tmp_path, monkeypatch):
    dataset = Numbered(root=tmp_path)
    held = load_test(dataset, device=CPU)
    stored = load_test(dataset.replace(residence="host"), device=CPU)
    assert isinstance(held.images, torch.Tensor) and isinstance(stored.images, Rows)
    assert torch.equal(held.images, stored.images[:]) and torch.equal(held.targets, stored.targets)
    assert not (tmp_path / placing.FOLDER).exists()


def test_where_images_lie_is_no_part_of_what_a_trial_is():
    settings = {"data.name": "synthetic"}
    plain, other = (TrialConfig.from_dotted(settings, {"data.residence": kind}) for kind in ("auto", "host"))
    assert plain.identity() == other.identity() == TrialConfig.from_dotted(settings).identity()
    assert plain.data.source() == other.data.source()
    with pytest.raises(ValueError, match="data.residence: got 'disk', must be 'auto', 'device' or 'host'"):
        TrialConfig.from_dotted(settings, {"data.residence": "disk"})
