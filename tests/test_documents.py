"""The files beside the code say what is true of it: the citation, the notices, the changelog, the commands."""

import re
import tomllib
from pathlib import Path

from tune_mixup import TrialConfig, __version__
from tune_mixup.data import DATASETS
from tune_mixup.reading import parse_yaml
from tune_mixup.sweep_config import plan

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def text(name):
    return (ROOT / name).read_text()


def test_the_citation_is_valid_and_of_this_version():
    """The keys that the schema of CFF 1.2.0 requires, and the version and licence of pyproject.toml."""
    citation = parse_yaml(text("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0" and citation["authors"]
    assert citation["version"] == PROJECT["version"] == __version__
    assert citation["license"] == PROJECT["license"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", str(citation["date-released"]))


def test_the_changelog_has_this_version_and_a_place_for_the_next():
    versions = re.findall(r"^## \[(.+?)\]", text("CHANGELOG.md"), flags=re.MULTILINE)
    assert versions[0] == "Unreleased" and __version__ in versions


def test_each_direct_dependency_has_its_licence():
    required = [
        *PROJECT["dependencies"],
        *(one for extra in PROJECT["optional-dependencies"].values() for one in extra),
    ]
    names = {re.match(r"[\w.-]+", one).group().lower() for one in required}
    noted = set(re.findall(r"^\| ([\w.-]+) \|", text("THIRD_PARTY_NOTICES.md").lower(), flags=re.MULTILINE)) - {
        "package"
    }
    assert names - {"optuna-dashboard"} == noted, "THIRD_PARTY_NOTICES.md and pyproject.toml name different packages"
    assert "optuna-dashboard" in text("THIRD_PARTY_NOTICES.md")


def test_the_hooks_are_the_linters_of_ci():
    (repository,) = parse_yaml(text(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    entries = {hook["entry"] for hook in repository["hooks"]}
    ci = text(".ci/run").replace("ruff format --check", "ruff format")
    assert entries == {"ruff check", "ruff format", "mypy", "lint-imports"}
    assert all(re.search(rf"^\s*(.*&& )?{entry}\b", ci, flags=re.MULTILINE) for entry in entries)


def test_the_card_names_every_data_set():
    card, places = text("docs/data.md").split("## Card")[1].split("### Constants")[0].split("\nNone of the data")
    described = re.findall(r"^\| (`[^|]*`) \|", card, flags=re.MULTILINE)
    named = re.findall(r"^\| (`[^|]*`) \|", places, flags=re.MULTILINE)
    families = {"torchvision:NAME" if name.startswith("torchvision:") else name for name in DATASETS}
    for table in (described, named):
        assert sorted(re.findall(r"`([\w:]+)`", " ".join(table))) == sorted(families)
    torchvision = text("docs/data.md").split("## Data sets of torchvision")[1].split("\n## ")[0]
    rows = "\n".join(row.split("|")[1] for row in torchvision.splitlines() if row.startswith("| `"))
    offered = [f"torchvision:{name}" for name in re.findall(r"(?<=[`:])\w+(?=`)", rows)]
    assert sorted(offered) == sorted(name for name in DATASETS if name.startswith("torchvision:"))


def test_the_card_has_the_constants_of_the_code():
    rows = [
        row.split("|")
        for row in text("docs/data.md").split("### Constants")[1].split("\n### ")[0].splitlines()
        if row[:3] == "| `"
    ]
    for name, kind in DATASETS.items():
        mean, std = (kind.model_fields[key].default for key in ("mean", "std"))
        (said,) = [row[2] for row in rows if f"`{name}`" in row[1]] or ["measured"]
        numbers = [float(number) for number in re.findall(r"\d\.\d+", said)]
        assert numbers == [*(mean or ()), *(std or ())], name
        assert ("measured" in said) == (mean is None), name


def test_the_links_of_the_documents_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "THIRD_PARTY_NOTICES.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", text(name)):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{name} links to {target}"


def test_contributing_names_registries_that_exist():
    rows = [line for line in text("CONTRIBUTING.md").splitlines() if line.startswith("| ") and "`" in line]
    named = re.findall(r"`([A-Z]{4,})`", "\n".join(rows))
    everything = "\n".join(
        path.read_text() for path in [*ROOT.glob("tune_mixup/**/*.py"), *ROOT.glob("benchmarks/*.py")]
    )
    assert len(named) >= 11
    for name in set(named) - {"NAME", "SPACE", "SETTINGS"}:
        assert re.search(rf"^{name}\b.*=", everything, flags=re.MULTILINE), f"there is no registry {name}"


def test_the_space_of_the_documentation_is_one(tmp_path):
    path = tmp_path / "documented.py"
    path.write_text(re.search(r"```python\n(.*?)```", text("docs/spaces.md"), flags=re.DOTALL)[1])
    config = plan(path)
    points = config.space.sample(200, seed=0)
    assert all(2 * point["schedule.warmup_epochs"] <= point["training.epochs"] for point in points)
    assert {point["training.batch_size"] for point in points} == {32, 64, 128, 256}
    assert all(("mixing.applied" in point) == (point["mixing.alpha"] >= 0.5) for point in points)
    assert config.invalid_points().points == 0


def test_the_published_protocol_of_the_documentation_is_a_configuration():
    blocks = re.findall(r"```yaml\n(.*?)```", text("docs/methods.md"), flags=re.DOTALL)
    (written,) = (block for block in blocks if "variant: published" in block)
    config = TrialConfig.parse(parse_yaml(written))
    assert config.schedule.drops(config.training.epochs) == (51, 76)
    assert [epoch for epoch in range(100) if config.mixing.gamma_at(epoch) == 0.125 * 1.5] == [20, 40, 60, 80]
    assert {config.mixing.gamma_at(epoch) for epoch in range(100)} == {0.125, 0.125 * 1.5}
    hundred = {"data": {"name": "cifar100", "batches": "fixed"}, "training": {"epochs": 100, "batch_size": 1000}}
    TrialConfig.parse({**parse_yaml(written), **hundred})


def test_every_claim_about_published_code_names_a_test_that_exists():
    claims = re.findall(r"^\|.*\| `(tests/[\w/]+\.py)`, `(test_\w+)` \|$", text("docs/methods.md"), flags=re.MULTILINE)
    rows = text("docs/methods.md").split("## What equals published code")[1].split("## Recipes")[0].count("\n| ") - 1
    assert len(claims) == rows > 10
    for file, test in claims:
        assert f"\ndef {test}(" in text(file), f"{file} has no {test}"
    recorded = [path for path in ROOT.glob("tests/**/test_*.py") if "\nfrom golden import" in path.read_text()]
    named = {file for file, _ in claims}
    assert {str(path.relative_to(ROOT)) for path in recorded} <= named
