"""Custom transforms by name: the classes of one file or package, and the instances that were made of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
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

    async def close(self) -> None:
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
        self.names = (first.name or module.path.stem,)

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


@dataclass(slots=True)
class Shelf:
    """Code, and what was made of it, by name and options."""

    code: Code
    name: str = ""
    options: JsonObject = field(default_factory=dict)
    made: dict[tuple[str, bytes], Transform] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ExtensionError if `name` could mean several."""
        names = {name.casefold(): name for name in self.code.names}
        if self.name and self.name.casefold() in names:
            self._names = {self.name.casefold(): names[self.name.casefold()]}
        elif self.name and len(names) > 1:
            raise ExtensionError(f"none of its transforms is called {self.name!r}; it has {', '.join(self.code.names)}")
        elif self.name:
            self._names = {**names, self.name.casefold(): self.code.names[0]}
        else:
            self._names = names

    _names: Mapping[str, str] = field(init=False, default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Those that `use` may name, folded."""
        return tuple(self._names)

    def find(self, name: str, options: JsonObject) -> Transform | None:
        """The transform, if it was made."""
        return self.made.get((name.casefold(), _encode(options)))

    async def make(self, name: str, options: JsonObject) -> Transform:
        """The transform of that name, with `options` over those of the file's own entry. Raises RouterError."""
        found = self.find(name, options)
        if found is None:
            found = await self.code.make(self._names[name.casefold()], {**self.options, **options})
            self.made[name.casefold(), _encode(options)] = found
        return found


def _encode(options: Any) -> bytes:
    return msgspec.json.encode(options, order="sorted")


Loader = Callable[[], Awaitable[Code]]
