"""Fields that take a part: by name, by import path or as an object."""

import sys
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Annotated, Literal

import pytest

from tune_mixup.config import TrialConfig
from tune_mixup.loss import CrossEntropy
from tune_mixup.metrics import METRICS, Metric, measure, with_outside
from tune_mixup.mixing import MIXERS, Mixer
from tune_mixup.mixing.mixture import Mixture
from tune_mixup.mixing.mixup import Mixup
from tune_mixup.parts import Part, PartOf, parts_of, with_default_names
from tune_mixup.schema import Schema


class Pet(Part, ABC):
    age: int = 1

    @abstractmethod
    def sound(self) -> str: ...


class Cat(Pet):
    name: Literal["cat"] = "cat"

    def sound(self) -> str:
        return "meow"


class Tiger(Cat):
    stripes: int = 3


class Robin(Pet):
    name: Literal["bird"] = "bird"

    def sound(self) -> str:
        return "tweet"


class Impostor(Robin):
    name: Literal["cat"] = "cat"


class Nameless(Robin):
    name: Literal["nameless"]


PETS = {"cat": Cat}
AnyPet = Annotated[Pet, PartOf(PETS, "a pet")]


class House(Schema):
    pet: AnyPet = Cat()
    others: dict[str, AnyPet] = {}
    rooms: int = 3


ROBIN, TIGER = Robin(), Tiger()
HERE = __name__


def local_pet():
    class Ghost(Robin):
        pass

    return Ghost()


def test_a_class_without_a_name_is_called_by_its_path():
    assert (Tiger().name, Cat().name, Robin().name) == (f"{HERE}:Tiger", "cat", "bird")
    assert Tiger.model_fields["name"].default == f"{HERE}:Tiger"
    assert Tiger().replace(stripes=5) == Tiger(stripes=5)
    with pytest.raises(ValueError, match="Tiger"):
        Tiger(name="cat")
    assert local_pet().name == f"{HERE}:local_pet.<locals>.Ghost"


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"name": "cat", "age": 3}, Cat(age=3)),
        ({"name": f"{HERE}:Cat"}, Cat()),
        ({"name": f"{HERE}:Tiger", "stripes": 9}, Tiger(stripes=9)),
        ({"name": f"{HERE}:Robin"}, Robin()),
        (TIGER, TIGER),
        (ROBIN, ROBIN),
    ],
    ids=str,
)
def test_parts_are_read_and_written(given, part):
    house = House.parse({"pet": given, "others": {"a": given}})
    assert house.pet == part and type(house.pet) is type(part) and house.others == {"a": part}
    for mode in ("json", "python"):
        written = house.model_dump(mode=mode)
        name = "cat" if type(part) is Cat else f"{HERE}:{type(part).__name__}"
        assert written["pet"] == written["others"]["a"] == {**part.model_dump(), "name": name}
        assert House.parse(written) == house
    assert House.model_validate_json(house.model_dump_json()) == house
    left = house.model_dump(exclude={"pet": {"age": True}})
    assert "age" not in left["pet"] and "age" in left["others"]["a"]


@pytest.mark.parametrize(
    ("pet", "message"),
    [
        ({"name": "dog"}, "pet.name: got 'dog', which is not known; known: cat"),
        ({"name": "cats"}, "pet.name: got 'cats', which is not known; did you mean cat?"),
        ({"name": "my.zoo.Cow"}, "is not known; a class of your own is written like my_package.my_module:MyClass"),
        ({"name": 3}, "pet.name: got 3, which is not known"),
        ({"name": ["cat"]}, "pet.name: got ['cat'], which is not known"),
        ({"age": 3}, "pet.name: is missing; say which one the settings in pet are for"),
        ({"name": f"{HERE}:Tigr"}, f"pet.name: got '{HERE}:Tigr', but {HERE} has no Tigr; did you mean Tiger?"),
        ({"name": f"{HERE}:Pet"}, f"pet.name: got '{HERE}:Pet', which is abstract; define sound"),
        ({"name": f"{HERE}:House"}, f"a class of another kind; must be a pet, that is a class derived from {HERE}:Pet"),
        ({"name": f"{HERE}:ROBIN"}, f"pet.name: got '{HERE}:ROBIN', which is an object of type Robin; must be a pet"),
        ({"name": f"{HERE}:local_pet"}, "which is an object of type function; must be a pet"),
        ({"name": f"{HERE}:Impostor"}, f"whose name 'cat' is that of {HERE}:Cat; give it another one, or none"),
        ({"name": f"{HERE}:Nameless"}, "declares `name` without a default"),
        ({"name": "__main__:Tiger"}, "pet.name: got '__main__:Tiger', which is defined in __main__"),
        ({"name": f"{HERE}:Tiger", "stripes": "x"}, "pet.stripes: got 'x', must be a whole number"),
        ({"name": f"{HERE}:Tiger", "stripe": 1}, "pet.stripe: there is no such setting"),
        (Impostor(), "pet: got"),
        (Mixup(), "pet: got Mixup("),
        (Tiger, "pet: got the class Tiger, must be an object of it; write Tiger()"),
        ("cat", "pet: got 'cat', must be a pet: settings with a name, or an object of a class derived from"),
        (None, "pet: got None, must be a pet"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_part_is_refused_in_one_line(pet, message):
    for values, prefix in (({"pet": pet}, ""), ({"others": {"a": pet}}, "others.a")):
        with pytest.raises(ValueError) as caught:
            House.parse(values)
        text = str(caught.value)
        wanted = message
        if prefix:
            wanted = wanted.replace("pet.", f"{prefix}.", 1) if wanted.startswith("pet.") else wanted
            wanted = f"{prefix}: {wanted[5:]}" if wanted.startswith("pet: ") else wanted
            wanted = wanted.replace("settings in pet", f"settings in {prefix}")
        assert wanted in text and "\n" not in text, text


def test_all_faults_are_named_at_once():
    with pytest.raises(ValueError) as caught:
        House.parse({"pet": {"name": "cat", "age": "x", "tail": 1}, "others": {"a": {"name": "dog"}}, "rooms": "y"})
    text = str(caught.value)
    assert all(key in text for key in ("pet.age:", "pet.tail:", "others.a.name:", "rooms:")) and "\n" not in text


def test_a_registry_may_grow():
    PETS["robin"] = Robin
    try:
        with pytest.raises(ValueError, match="robin"):
            House.parse({"pet": {"name": "robn"}})
        assert House.parse({"pet": {"name": "robin"}}).pet == Robin()
    finally:
        del PETS["robin"]


def test_which_parts_a_field_takes():
    assert [(kind.registry, base) for kind, base in parts_of(House.model_fields["pet"])] == [(PETS, Pet)]
    assert [(kind.what, base) for kind, base in parts_of(House.model_fields["others"])] == [("a pet", Pet)]
    assert list(parts_of(House.model_fields["rooms"])) == []


def test_sections_without_a_name_get_the_default_parts():
    values = {"pet": {"age": 4}, "rooms": 2}
    assert with_default_names(House, values) == {"pet": {"name": "cat", "age": 4}, "rooms": 2}
    assert with_default_names(House, {"pet": {"name": "x"}}) == {"pet": {"name": "x"}}
    assert values == {"pet": {"age": 4}, "rooms": 2}


# Trials


def make_local():
    class Local(Mixup):
        pass

    return Local()


def test_what_only_this_process_knows_trains_but_is_not_written_down(tmp_path):
    from tune_mixup.training.trainer import Trainer

    config = TrialConfig.from_dotted({"data.train_limit": 200, "training.epochs": 1, "mixing": make_local()})
    assert Trainer(config).run()[-1]["diverged"] == 0
    with pytest.raises(ValueError) as caught:
        config.plain()
    text = str(caught.value)
    assert text.startswith(f"mixing.name: got '{HERE}:make_local.<locals>.Local', which is defined inside a function")
    assert "\n" not in text
    with pytest.raises(ValueError, match="mixing.members.mine.name: got"):
        TrialConfig(mixing=Mixture(members={"mine": make_local()})).plain()
    with pytest.raises(ValueError, match="defined inside a function"):
        Trainer(config, folder=tmp_path)


def test_a_mixture_holds_no_mixture_of_any_kind(monkeypatch):
    module = ModuleType("of_mixtures")
    module.Mine = type("Mine", (Mixture,), {"__module__": "of_mixtures"})
    monkeypatch.setitem(sys.modules, "of_mixtures", module)
    for inner in (Mixture(), {"name": "of_mixtures:Mine"}, {"name": "tune_mixup.mixing.mixture:Mixture"}):
        with pytest.raises(ValueError, match="mixing.members: a mixture can't hold another mixture"):
            TrialConfig.parse({"mixing": {"name": "mixture", "members": {"a": inner}}})


def test_kinds_are_told_apart():
    with pytest.raises(ValueError) as caught:
        TrialConfig.from_dotted({"mixing.name": "tune_mixup.loss:CrossEntropy"})
    assert "must be a mixing method, that is a class derived from tune_mixup.mixing.base:Mixer" in str(caught.value)
    with pytest.raises(ValueError, match="mixing: got CrossEntropy"):
        TrialConfig.parse({"mixing": CrossEntropy()})
    assert PartOf(MIXERS, "a mixing method").find("tune_mixup.mixing.mixup:Mixup", Mixer) is Mixup


# Metrics


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["outside_metrics:GONE"], "training.metrics: got 'outside_metrics:GONE', but outside_metrics has no GONE"),
        (["accuracy"], "training.metrics: got 'accuracy', must be the import path of a metric"),
        (["outside_metrics:function"], "which is an object of type function, must be a tune_mixup.metrics.Metric"),
        (["outside_metrics:ACCURACY"], "whose name in reports, accuracy, is another metric's already; rename it"),
        (["outside_metrics:ZERO", "outside_metrics:ZERO"], "whose name in reports, zero, is another metric's already"),
        (["outside_metrics:NLL_MEDIAN"], "whose name in reports, nll_median, ends like the medians of others"),
        ([3], "training.metrics.0: got 3, must be a text"),
        (3, "training.metrics: got 3"),
    ],
    ids=str,
)
def test_metrics_that_can_not_be_measured_are_refused(metrics, message, outside_metrics):
    with pytest.raises(ValueError) as caught:
        TrialConfig.from_dotted({"training.metrics": metrics})
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture
def outside_metrics(monkeypatch):
    module = ModuleType("outside_metrics")
    module.function = lambda logits, targets: logits.sum() * 0
    module.ZERO = module.ACCURACY = module.NLL_MEDIAN = Metric(module.function, "minimize", "none")
    module.ROWS = Metric(lambda logits, targets: logits, "minimize", "none")
    module.NUMBER = Metric(lambda logits, targets: 3.0, "minimize", "none")
    module.COUNT = Metric(lambda logits, targets: (logits > 1).sum(), "maximize", "entries")
    monkeypatch.setitem(sys.modules, "outside_metrics", module)


def test_what_came_later_is_as_before_at_its_default_unless_it_has_another_name_now():
    class Horse(Part):
        came_later = frozenset({"tail", "mane"})
        renamed = {"mane": "hair"}
        name: Literal["horse"] = "horse"
        tail: int = 1
        mane: int = 1

    class Pony(Horse):
        came_later = frozenset({"size"})
        name: Literal["pony"] = "pony"
        size: int = 1

    assert Horse().as_before == {"tail"} and Pony().as_before == {"tail", "size"}
    assert Pony(tail=2).as_before == {"size"} and Horse(mane=2).as_before == {"tail"}


def test_metrics_are_measured_together(outside_metrics):
    import torch

    logits, targets = torch.tensor([[2.0, 0.0], [0.0, 3.0], [4.0, 0.0]]), torch.tensor([0, 1, 1])
    metrics = with_outside(["outside_metrics:COUNT"])
    measured = measure(metrics, logits, targets)
    assert list(measured) == [*METRICS, "count"] and measured["count"] == 3
    assert measured["accuracy"] == pytest.approx(2 / 3)
    for name, came in (("ROWS", r"rows gave \(3, 2\) on cpu"), ("NUMBER", "number gave float")):
        with pytest.raises(ValueError, match=came):
            measure(with_outside([f"outside_metrics:{name}"]), logits, targets)


def test_metrics_are_part_of_the_identity_only_where_there_are_some(outside_metrics):
    some = TrialConfig.from_dotted({"training.metrics": "outside_metrics:ZERO, outside_metrics:COUNT"})
    assert some.training.metrics == ("outside_metrics:ZERO", "outside_metrics:COUNT")
    assert some.identity() != TrialConfig().identity()
    assert TrialConfig.parse(some.plain()) == some
