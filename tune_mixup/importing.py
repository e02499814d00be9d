"""Objects named by where they are imported from: `my_package.my_module:MyMixer`.

Wherever the name of a registry is accepted, such an import path is too, so that a part which somebody wrote outside of
this package needs no line inside of it.
"""

import importlib
import re
import sys
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, TypeGuard

from tune_mixup.schema import suggest
from tune_mixup.time_limits import TookTooLong, limited
from tune_mixup.words import short

NOT_FOR_OTHERS = frozenset({"__main__", "__mp_main__"})
"""Names of the module that a process was started with, which is another one in every process."""
LIMIT_S, REMIND_S = 600.0, 10.0
"""How long a module may take to be imported, also on a slow file system, and when it is said that it still does."""
WRITTEN_LIKE = "my_package.my_module:MyClass"
BRINGS = "torchvision:"
"""Begins the keys of registries for what torchvision brings: `torchvision:svhn`. No part of ours lies in there."""


def import_path(definition: type) -> str:
    """Where a class is imported from; see `importable` for those that can't be."""
    return f"{definition.__module__}:{definition.__qualname__}"


def is_import_path(name: object) -> TypeGuard[str]:
    """Whether `name` is meant as an import path; keys of registries hold no colon, but for those after BRINGS."""
    return isinstance(name, str) and ":" in name and not name.startswith(BRINGS)


def imported(path: str) -> Any:
    """The object at an import path.

    Raises ValueError with one line for what is no such path, can't be found by other processes, is missing, or fails
    when it is imported.
    """
    importable(path)
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), *name.split(".")]):
        raise ValueError(f"got {path!r}, must be the name of a known one, or look like {WRITTEN_LIKE}")
    try:
        with limited(LIMIT_S, remind_s=REMIND_S, remind=lambda: _remind(module_name)):
            module = importlib.import_module(module_name)
    except TookTooLong:
        why = f"it still runs after {LIMIT_S / 60:.0f} minutes"
        raise ValueError(f"got {path!r}, but importing {module_name} does not end: {why}; mend it") from None
    except ModuleNotFoundError as error:
        if f"{module_name}.".startswith(f"{error.name}."):
            raise ValueError(
                f"got {path!r}, but there is no module {error.name}; check the spelling, or add the folder that holds "
                "it to PYTHONPATH"
            ) from None
        raise _failing(path, module_name, error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _failing(path, module_name, error) from error
    try:
        return attrgetter(name)(module)
    except AttributeError:
        public = [each for each in vars(module) if not each.startswith("_")]
        raise ValueError(f"got {path!r}, but {module_name} has no {name}{suggest(name, public)}") from None


def importable(path: str) -> None:
    """Raise ValueError for the path of a class that exists in this process only."""
    module_name, _, name = path.partition(":")
    if module_name in NOT_FOR_OTHERS or "<locals>" in name:
        where = "inside a function" if "<locals>" in name else f"in {module_name}"
        raise ValueError(
            f"got {path!r}, which is defined {where} and can't be imported by other processes; move it to the top of "
            "a module of its own and import it from there"
        )


def import_paths(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """All import paths in settings, nested or dotted: dotted key -> path.

    They are the values of keys called `name`, and the entries of lists; nothing is imported.
    """
    found: dict[str, str] = {}
    for key, value in settings.items():
        whole = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= import_paths(value, f"{whole}.")
        elif isinstance(value, (list, tuple)):
            found |= {f"{whole}.{place}": each for place, each in enumerate(value) if _looks_like_one(each)}
        elif whole.rpartition(".")[2] == "name" and is_import_path(value):
            found[whole] = value
    return found


def _looks_like_one(value: object) -> bool:
    return is_import_path(value) and re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", value) is not None


def _remind(module_name: str) -> None:
    if sys.stderr is not None:
        print(f"tune-mixup: still importing {module_name} after {REMIND_S:g} s", file=sys.stderr, flush=True)


def _failing(path: str, module_name: str, error: BaseException) -> ValueError:
    return ValueError(f"got {path!r}, but importing {module_name} fails: {short(error)}; mend it")
