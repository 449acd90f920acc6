"""Custom transforms by name: the classes of one file or package, and the instances that were made of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

import msgspec

from ccrouter.errors import ExtensionError
from ccrouter.extensions.aside import Aside, at_work
from ccrouter.extensions.code import NothingFound, run_file, transforms_in
from ccrouter.extensions.faults import Faults
from ccrouter.extensions.guarded import Guarded, Origin
from ccrouter.extensions.node.module import Made, Module, Node
from ccrouter.extensions.node.transform import NodeTransform
from ccrouter.jsontypes import JsonObject
from ccrouter.transforms.base import Transform

T = TypeVar("T")


class Code(Protocol):
    """One version of a file. `names` are its transforms, as they are written."""

    names: tuple[str, ...]

    async def make(self, name: str, options: JsonObject) -> Transform:
        """One of its transforms. Raises RouterError."""

    def close(self) -> Coroutine[Any, Any, None]:
        """It is not used any more."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all custom code is run with."""

    aside: Aside
    faults: Faults
    node: Node | None = None

    async def run(self, what: str, path: Path, limit: float, work: Callable[[], T]) -> T:
        """`work()`, the user's code, in a thread. Raises RouterError."""

        def carry_out() -> T:
            with at_work(what, limit):
                return work()

        try:
            return await self.aside.carry_out(carry_out)
        except NothingFound as error:
            raise ExtensionError(f"{path.name}: {error}") from error
        except (Exception, SystemExit) as error:
            raise self.faults.blame(error, what, path) from error


class PythonCode:
    """The classes of a Python file, or of an installed package."""

    def __init__(self, path: Path, classes: Mapping[str, type[Transform]], limit: float, shop: Workshop) -> None:
        self._path = path
        self._classes = classes
        self._limit = limit
        self._shop = shop
        self.names = tuple(classes)

    @classmethod
    async def load(cls, path: Path, limit: float, shop: Workshop) -> PythonCode:
        """Runs the file. Raises RouterError."""

        def load() -> dict[str, type[Transform]]:
            module: ModuleType = run_file(path)
            return transforms_in(module)

        classes = await shop.run(f"loading {path.name}", path, limit, load)
        return cls(path, classes, limit, shop)

    @classmethod
    async def installed(cls, entry: EntryPoint, limit: float, shop: Workshop) -> PythonCode:
        """Imports what the package offers. Raises RouterError."""
        path = Path(entry.value.partition(":")[0])

        def load() -> type[Transform]:
            found = entry.load()
            if not (isinstance(found, type) and issubclass(found, Transform)):
                raise NothingFound(f"{entry.value} is no subclass of ccrouter.extend.Transform")
            return found

        found = await shop.run(f"loading transform {entry.name!r}", path, limit, load)
        return cls(path, {entry.name: found}, limit, shop)

    async def make(self, name: str, options: JsonObject) -> Transform:
        made = self._classes[name]
        what = f"the constructor of transform {name!r}"
        inner = await self._shop.run(what, self._path, self._limit, lambda: made(options))
        return Guarded(inner, Origin(name, self._path, self._limit, self._shop.aside, self._shop.faults))

    async def close(self) -> None:
        """Nothing is held."""


class NodeCode:
    """The class of a JavaScript module, in a process of node's."""

    def __init__(self, module: Module, first: Made, options: JsonObject) -> None:
        self._module = module
        self._first: tuple[JsonObject, Made] | None = (options, first)
        self.names: tuple[str, ...] = (first.name or module.path.stem,)

    @classmethod
    async def load(cls, path: Path, limit: float, options: JsonObject, shop: Workshop) -> NodeCode:
        """Starts a process. Raises RouterError."""
        assert shop.node is not None, "without node nothing of it is loaded"
        module = Module(path, shop.node, limit, shop.faults)
        try:
            await module.open()
            first = await module.make(options)  # only an instance knows its name
        except BaseException:
            await module.close()
            raise
        if first.endPoint is not None:
            shop.faults.journal("warn", "a transformer's own `endPoint` is not served", file=path.name)
        return cls(module, first, options)

    async def make(self, name: str, options: JsonObject) -> Transform:
        if self._first is not None and self._first[0] == options:
            made, self._first = self._first[1], None
        else:
            made = await self._module.make(options)
        return NodeTransform(self._module, made, options, name)

    async def close(self) -> None:
        await self._module.close()


class Shelf:
    """Code, and what was made of it. `names` maps what `use` may say, folded, to names of the code; `options` are those
    of its entry.
    """

    def __init__(self, code: Code, names: Mapping[str, str] | None = None, options: JsonObject | None = None) -> None:
        self.code = code
        self._names = names if names is not None else {name.casefold(): name for name in code.names}
        self._options = options or {}
        self._made: dict[tuple[str, bytes], Transform] = {}
        self._wanted: dict[tuple[str, bytes], tuple[str, JsonObject]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)

    def wanted(self) -> list[tuple[str, JsonObject]]:
        """The names and options that were asked for."""
        return list(self._wanted.values())

    def find(self, name: str, options: JsonObject) -> Transform | None:
        """The transform, if it was made."""
        return self._made.get(_key(name, options))

    async def make(self, name: str, options: JsonObject) -> Transform:
        """The transform of that name, with `options` over those of the file's own entry. Raises RouterError."""
        found = self.find(name, options)
        if found is None:
            own = self._names.get(name.casefold())
            if own is None:
                raise ExtensionError(f"it has no transform called {name!r} any more")
            found = await self.code.make(own, {**self._options, **options})
            self._made[_key(name, options)] = found
            self._wanted[_key(name, options)] = (name, options)
        return found


def _key(name: str, options: Any) -> tuple[str, bytes]:
    return name.casefold(), msgspec.json.encode(options, order="sorted")
