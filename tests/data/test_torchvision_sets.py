"""What torchvision's own classes give for the same files is what is expected, to the pixel."""

import inspect
from collections import Counter
from pathlib import Path

import first_use
import numpy as np
import pytest
import torch
import torchvision
from made_collections import WRITERS, Draw, emnist, expect_no_checksums, fgvc_aircraft, svhn
from optuna.distributions import FloatDistribution

from tune_mixup.config import TrialConfig
from tune_mixup.data import DATASETS, load, load_test
from tune_mixup.data.torchvision_sets import TORCHVISION
from tune_mixup.importing import is_import_path
from tune_mixup.search_space import SearchSpace
from tune_mixup.sweep_config import plan

CPU = torch.device("cpu")
SPLIT = {"train": {"split": "train"}, "test": {"split": "test"}}
TRAIN = {"train": {"train": True}, "test": {"train": False}}
THEIRS = {
    "svhn": ("SVHN", SPLIT),
    "mnist": ("MNIST", TRAIN),
    "kmnist": ("KMNIST", TRAIN),
    "emnist": ("EMNIST", {part: {"split": "balanced", **which} for part, which in TRAIN.items()}),
    "qmnist": ("QMNIST", {"train": {"what": "train"}, "test": {"what": "test"}}),
    "usps": ("USPS", TRAIN),
    "stl10": ("STL10", SPLIT),
    "gtsrb": ("GTSRB", SPLIT),
    "food101": ("Food101", SPLIT),
    "pets": ("OxfordIIITPet", {"train": {"split": "trainval"}, "test": {"split": "test"}}),
    "flowers102": ("Flowers102", {**SPLIT, "val": {"split": "val"}}),
    "dtd": ("DTD", {**SPLIT, "val": {"split": "val"}}),
    "eurosat": ("EuroSAT", {"all": {}}),
    "fgvc_aircraft": ("FGVCAircraft", {**SPLIT, "val": {"split": "val"}}),
    "cars": ("StanfordCars", SPLIT),
    "caltech101": ("Caltech101", {"all": {}}),
    "country211": ("Country211", {**SPLIT, "val": {"split": "valid"}}),
    "sun397": ("SUN397", {"all": {}}),
    "semeion": ("SEMEION", {"all": {"download": False}}),
}
NUMBERED = {"svhn", "usps", "gtsrb", "semeion"}
GREY = {"mnist", "kmnist", "emnist", "qmnist", "usps", "semeion"}


@pytest.fixture(autouse=True)
def no_checksums(monkeypatch):
    expect_no_checksums(monkeypatch)


def settings(name, root, **changes):
    return DATASETS[f"torchvision:{name}"].parse({"root": str(root), **changes})


def theirs(name, root):
    """Part -> pixels and name of the class of each image, as torchvision gives them."""
    kind, parts = THEIRS[name]
    found = {}
    for part, arguments in parts.items():
        opened = getattr(torchvision.datasets, kind)(root, **arguments)
        names = [str(k) for k in range(100)] if name in NUMBERED else getattr(opened, "classes", None)
        names = opened.categories if name == "caltech101" else names
        pairs = [opened[i] for i in range(len(opened))]
        found[part] = [(np.asarray(image).tobytes(), names[target]) for image, target in pairs]
    return found


def ours(split, names):
    """Channels come last in torchvision's pixels, and grey ones have none."""
    return [
        (image.permute(1, 2, 0).squeeze(-1).numpy().tobytes(), names[k])
        for image, k in zip(split.images, split.targets.tolist(), strict=True)
    ]


def test_all_are_tested():
    assert set(TORCHVISION) == {f"torchvision:{name}" for name in THEIRS} == set(WRITERS)


@pytest.mark.parametrize("name", THEIRS)
def test_it_is_what_torchvision_gives(name, tmp_path):
    WRITERS[f"torchvision:{name}"](tmp_path, Draw())
    dataset = settings(name, tmp_path)
    train, names = dataset.read_train()
    found = {"train": ours(train, names), "test": ours(dataset.read_test(), names)}
    validation = dataset.read_validation()
    if validation is not None:
        found["val"] = ours(validation, names)
    expected = theirs(name, tmp_path)
    if "all" in expected:
        assert Counter(found["train"] + found["test"]) == Counter(expected["all"])
        assert len(found["test"]) == len(expected["all"]) // 5
    else:
        assert found == expected
    assert train.images.shape[1] == (1 if name in GREY else 3)
    assert len(set(names)) == len({name for _, name in sum(expected.values(), [])})


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_installed_torchvision_takes_what_it_is_asked_for(name):
    offered = TORCHVISION[name].offered
    kind = getattr(torchvision.datasets, offered.kind)
    signature = inspect.signature(kind)
    for arguments in offered.parts.values():
        signature.bind("root", **arguments, **TORCHVISION[name]().arguments, download=False)


def test_the_letters_have_no_class_without_images(tmp_path):
    emnist(tmp_path, Draw(), split="letters", classes=26, first=1)
    train, names = settings("emnist", tmp_path, split="letters").read_train()
    assert names == tuple("abcdefghijklmnopqrstuvwxyz")
    assert train.targets.tolist() == [k for k in range(26) for _ in range(2)]


def test_what_is_chosen_is_told_apart(tmp_path):
    fgvc_aircraft(tmp_path, Draw())
    first, makers = (
        settings("fgvc_aircraft", tmp_path, annotation_level=level) for level in ("variant", "manufacturer")
    )
    assert first.read_train()[1] == ("A300 B4", "707-320")
    assert makers.read_train()[1] == ("Airbus", "Boeing")
    assert first.known_fingerprint() != makers.known_fingerprint()
    assert len(list(tmp_path.rglob("*.pt"))) == 2


def test_the_order_of_a_folder_plays_no_part(tmp_path, monkeypatch):
    WRITERS["torchvision:sun397"](tmp_path, Draw())
    rglob, found = Path.rglob, []
    for way in (1, -1):
        monkeypatch.setattr(Path, "rglob", lambda *given, way=way: sorted(rglob(*given))[::way])
        root = tmp_path / f"root{way}"
        root.mkdir()
        (root / "SUN397").symlink_to(tmp_path / "SUN397")
        dataset = settings("sun397", root)
        found.append((dataset.known_fingerprint(), dataset.read_test().images))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])


def test_images_are_made_into_one_size_and_kept(tmp_path):
    WRITERS["torchvision:eurosat"](tmp_path / "theirs", Draw())
    dataset = settings("eurosat", tmp_path / "root", path=str(tmp_path / "theirs"), size=4, channels=1)
    assert dataset.read_train()[0].images.shape == (8, 1, 4, 4)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")}
    assert [path.name for path in before] == ["torchvision-eurosat-grey-4x4-shorter_side.pt"]
    dataset.read_test()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")} == before
    Draw(seed=1).file(tmp_path / "theirs" / "eurosat" / "2750" / "River" / "9.jpg")
    assert len(dataset.read_train()[0].images) == 9


def cut(path):
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("svhn", lambda r: cut(r / "test_32x32.mat"), ["torchvision can't read test of torchvision:svhn", "remove"]),
        ("svhn", lambda r: (r / "train_32x32.mat").unlink(), ["lacks train_32x32.mat", "remove test_32x32.mat"]),
        ("svhn", lambda r: (r / "train_32x32.mat").write_bytes(b""), ["can't read train"]),
        ("mnist", lambda r: cut(r / "MNIST/raw/train-images-idx3-ubyte"), ["can't read train of torchvision:mnist"]),
        ("stl10", lambda r: cut(r / "stl10_binary/train_X.bin"), ["can't read train of torchvision:stl10"]),
        ("gtsrb", lambda r: cut(r / "gtsrb/GTSRB/Training/00001/0.ppm"), ["1 of 9 items in", "train 2 (", "on_error"]),
        ("food101", lambda r: (r / "food-101/images/pizza/test0.jpg").unlink(), ["test 0 (", "pizza/test0.jpg"]),
        ("dtd", lambda r: Draw().file(r / "dtd/dtd/images/banded/banded_val1.jpg", (5, 5)), ["val 0 is 5 x 5", "size"]),
        ("country211", lambda r: (r / "country211/train/AD").rename(r / "country211/train/AF"), ["other classes"]),
    ],
)
def test_what_cannot_be_used_is_one_line(name, damage, words, tmp_path):
    WRITERS[f"torchvision:{name}"](tmp_path, Draw())
    damage(tmp_path)
    with pytest.raises(ValueError) as caught:
        load(settings(name, tmp_path), seed=0, device=CPU)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    assert not list(tmp_path.rglob("*.pt"))


def test_a_label_beyond_the_named_ones_is_refused(tmp_path):
    emnist(tmp_path, Draw(), split="digits", classes=11)
    with pytest.raises(ValueError, match=r"train 20 has the label 10, must be 0 to 9"):
        settings("emnist", tmp_path, split="digits").read_train()


def test_bad_images_are_left_out_on_demand(tmp_path, caplog):
    WRITERS["torchvision:gtsrb"](tmp_path, Draw())
    whole = settings("gtsrb", tmp_path).read_train()[0]
    cut(tmp_path / "gtsrb/GTSRB/Training/00001/0.ppm")
    train, names = settings("gtsrb", tmp_path, on_error="skip").read_train()
    assert torch.equal(train.images, whole.images[[0, 1, 3, 4, 5]])
    assert train.targets.tolist() == [0, 0, 1, 2, 2] and names == ("0", "1", "2")
    assert "1 of 9 items" in caplog.text and "they are left out" in caplog.text
    for path in tmp_path.rglob("*.ppm"):
        cut(path)
    with pytest.raises(ValueError, match="none of the 9 items in .* can be read; bring whole ones"):
        settings("gtsrb", tmp_path, on_error="skip").read_train()


def test_nothing_to_evaluate_on_is_told_before_anything_is_read(tmp_path):
    with pytest.raises(ValueError, match="data.test_fraction: got 0"):
        settings("eurosat", tmp_path, test_fraction=0).check_test()
    settings("svhn", tmp_path, test_fraction=0).check_test()


def test_missing_files_are_downloaded_once_to_where_torchvision_has_them(tmp_path, monkeypatch):
    asked = []

    def fake(url, root, filename, md5):
        asked.append(filename)
        if not (root / "both").is_dir():
            (root / "both").mkdir()
            svhn(root / "both", Draw())
        (root / "both" / filename).rename(root / filename)

    monkeypatch.setattr(torchvision.datasets.svhn, "download_url", fake)
    root = tmp_path / "not" / "there"
    settings("svhn", root).read_train()
    settings("svhn", root).read_test()
    assert asked == ["train_32x32.mat", "test_32x32.mat"]
    assert sorted(path.name for path in root.iterdir() if path.suffix != ".lock") == [
        ".tune_mixup",
        "test_32x32.mat",
        "train_32x32.mat",
    ]


def test_two_processes_that_start_together_download_once(tmp_path):
    log = tmp_path / "log"
    sums = first_use.run_together(first_use.download_svhn, str(tmp_path / "data"), str(log))
    assert log.read_text() == "train\ntest\n"
    assert sums[0] == sums[1] > 0


@pytest.mark.parametrize(("name", "why"), [("svhn", "no network here"), ("cars", "cannot be downloaded anymore")])
def test_what_cannot_be_downloaded_says_where_it_belongs(name, why, tmp_path, monkeypatch):
    def offline(*given, **more):
        raise RuntimeError("no network here")

    monkeypatch.setattr(torchvision.datasets.svhn, "download_url", offline)
    with pytest.raises(ValueError) as caught:
        settings(name, tmp_path).read_train()
    message = str(caught.value)
    assert "\n" not in message and why in message and str(tmp_path) in message
    assert all(file in message for file in TORCHVISION[f"torchvision:{name}"].offered.files)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_the_name_is_no_import_path():
    assert not is_import_path("torchvision:svhn") and is_import_path("my_package.parts:Mine")
    config = TrialConfig.from_dotted({"data.name": "torchvision:svhn", "data.size": 16})
    assert TrialConfig.parse(config.model_dump(mode="json")) == config
    space = SearchSpace(fixed={"data.name": "torchvision:svhn"}, free={"optimizer.lr": FloatDistribution(0.01, 1)})
    assert plan(space, name="s", metric="val_accuracy").trial({"optimizer.lr": 0.1}).data.name == "torchvision:svhn"
    with pytest.raises(ValueError, match="'torchvision:svnh', which is not known; did you mean torchvision:svhn"):
        TrialConfig.from_dotted({"data.name": "torchvision:svnh"})


def test_classes_keep_their_names(tmp_path):
    WRITERS["torchvision:pets"](tmp_path, Draw())
    data = load(settings("pets", tmp_path), seed=0, device=CPU)
    assert data.class_names == ("Abyssinian", "Great Pyrenees")
    assert len(load_test(settings("pets", tmp_path), device=CPU).images) == 2


def test_the_documentation_names_them_all():
    told = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    for name in THEIRS:
        assert f"`torchvision:{name}`" in told or f"`{name}`" in told, name
