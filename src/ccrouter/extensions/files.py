"""The files of the user's code: which language each is in, and what is made of it when it changes."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol

from ccrouter.config.schema import CustomRouter, CustomTransformer
from ccrouter.config.transform_options import OPTIONS
from ccrouter.errors import ExtensionError
from ccrouter.extensions.context import RequestView, RouteContext
from ccrouter.extensions.hot import Hot
from ccrouter.extensions.router import NodeRouter, PythonRouter, RouterCode
from ccrouter.extensions.shelf import Code, NodeCode, PythonCode, Shelf, Workshop
from ccrouter.jsontypes import JsonObject

#: The key that names the custom router.
ROUTER = "CUSTOM_ROUTER_PATH"

_ENDINGS = (".js", ".cjs", ".mjs", "/index.js", "/index.cjs", "/index.mjs")


class Closable(Protocol):
    """Code that may hold a process."""

    def close(self) -> Coroutine[Any, Any, None]:
        """After it is awaited it holds none."""


def is_javascript(path: Path) -> bool:
    """True for everything but Python: node finds modules by names without an ending, and in folders."""
    return path.suffix.lower() != ".py"


def module_file(path: Path) -> Path:
    """The file that a module's path leads to, whose changes are watched."""
    if path.is_file():
        return path
    return next((found for ending in _ENDINGS if (found := Path(f"{path}{ending}")).is_file()), path)


class TransformFile:
    """One entry of `transformers`."""

    def __init__(self, entry: CustomTransformer, shop: Workshop) -> None:
        self._entry = entry
        self._shop = shop
        self._hot: Hot[Shelf] = Hot(module_file(entry.path), self._load, shop.faults.journal)
        self._shelf: Shelf | None = None

    async def open(self) -> None:
        """Raises RouterError if it cannot be loaded."""
        await self._hot.open()
        self._shelf = self._hot.current

    async def refresh(self) -> Closable | None:
        """After the call it is as the file is now; what it was before, if that is another."""
        before = await self._hot.refresh()
        self._shelf = self._hot.current
        return before.code if before is not None else None

    async def close(self) -> None:
        if self._shelf is not None:
            await self._shelf.code.close()

    @property
    def shelf(self) -> Shelf:
        return self._hot.current

    @property
    def names(self) -> tuple[str, ...]:
        """What `use` may call its transforms, folded."""
        return self.shelf.names

    async def _load(self) -> Shelf:
        entry = self._entry
        code: Code
        if is_javascript(entry.path):
            code = await NodeCode.load(entry.path, entry.timeout, entry.options, self._shop)
        else:
            code = await PythonCode.load(entry.path, entry.timeout, self._shop)
        try:
            shelf = Shelf(code, _names(code, entry), entry.options)
            for name, options in self._shelf.wanted() if self._shelf is not None else ():
                await shelf.make(name, options)
        except BaseException:
            await code.close()
            raise
        return shelf


class RouterFile:
    """The file of the custom router."""

    def __init__(self, custom: CustomRouter, shop: Workshop) -> None:
        self._custom = custom
        self._shop = shop
        self._hot: Hot[RouterCode] = Hot(module_file(custom.path), self._load, shop.faults.journal)
        self._is_open = False
        self.name = custom.path.name

    async def open(self) -> None:
        """Raises RouterError if it cannot be loaded."""
        await self._hot.open()
        self._is_open = True

    async def refresh(self) -> Closable | None:
        """After the call it is as the file is now; what it was before, if that is another."""
        return await self._hot.refresh()

    async def close(self) -> None:
        if self._is_open:
            await self._hot.current.close()

    async def route(self, request: RequestView, config: JsonObject, context: RouteContext) -> object:
        """What it answers; None for one that failed, where that is to be so. Raises RouterError."""
        try:
            return await self._hot.current.route(request, config, context)
        except ExtensionError as error:
            if not self._custom.goes_on:
                raise
            self._shop.faults.journal(
                "error", "the custom router failed, and is passed over", file=self.name, reqId=context.request_id,
                error=str(error),
            )  # fmt: skip
            return None

    async def _load(self) -> RouterCode:
        custom = self._custom
        if is_javascript(custom.path):
            return await NodeRouter.load(custom.path, custom.timeout, self._shop)
        return await PythonRouter.load(custom.path, custom.timeout, self._shop)


def _names(code: Code, entry: CustomTransformer) -> dict[str, str]:
    """What `use` may call the transforms of `code`, folded, each with its name there.

    An entry's `name` picks one of several; the one of a file also goes by that, and by the file's own name.
    """
    names = {name.casefold(): name for name in code.names}
    wanted = entry.name.casefold()
    if wanted in names:
        return {wanted: names[wanted]}
    if len(names) > 1:
        if wanted:
            raise ExtensionError(f"none of its transforms is called {entry.name!r}; it has {', '.join(code.names)}")
        return names
    stem = entry.path.stem.casefold()
    further = [wanted] if wanted else [stem] if stem not in OPTIONS else []
    return {**names, **dict.fromkeys(further, code.names[0])}
