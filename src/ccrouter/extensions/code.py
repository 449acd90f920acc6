"""A Python file of the user's, run, and what is of use in it: transforms, or a router.

Read anew each time, never from compiled files: their stamps are too coarse for two edits within a second. Modules
beside it can be imported, by names that nobody else has.
"""

from __future__ import annotations

import hashlib
import inspect
import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ccrouter.transforms.base import Transform

#: Of a router in Python, the function that routes.
ROUTE = "route"


class NothingFound(Exception):
    """The file is in order, but has not what it is there for; the text says what."""


def run_file(path: Path) -> ModuleType:
    """The file as a module, run to its end. Raises OSError, and whatever its code raises."""
    source = path.read_bytes()
    linecache.checkcache(str(path))
    name = f"ccr_custom_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last: nothing there takes the place of another module
    code = compile(source, str(path), "exec")
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and the like look their module up
    try:
        exec(code, module.__dict__)  # noqa: S102 - the user's own code, which their configuration names
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return module


def transforms_in(module: ModuleType) -> dict[str, type[Transform]]:
    """The subclasses of Transform that the module defines, by the name each gives itself, else its class's.

    Raises NothingFound if there is none, and if two have the same name.
    """
    found: dict[str, type[Transform]] = {}
    for name, value in vars(module).items():
        if not (isinstance(value, type) and issubclass(value, Transform)) or value.__module__ != module.__name__:
            continue
        if name.startswith("_"):
            continue
        shown = value.name or name
        if shown.casefold() in map(str.casefold, found):
            raise NothingFound(f"two of its classes are called {shown!r}")
        found[shown] = value
    if not found:
        raise NothingFound("it defines no subclass of ccrouter.extend.Transform")
    return found


def router_in(module: ModuleType) -> Callable[..., Any]:
    """The module's function `route`. Raises NothingFound without one that takes three arguments."""
    route = getattr(module, ROUTE, None)
    if not callable(route):
        raise NothingFound("it defines no function `route(request, config, context)`")
    try:
        inspect.signature(route).bind(None, None, None)
    except TypeError:
        raise NothingFound("its `route` must take three arguments: request, config, context") from None
    return route  # type: ignore[no-any-return] # callable, as was just seen
