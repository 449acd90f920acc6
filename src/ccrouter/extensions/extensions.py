"""All custom code of one configuration: loaded at the start, made anew when its files change, ended with it.

What the policy does not allow is not loaded, and refused: at the start, at a reload, and once more for each request.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ccrouter.compliance.judge import Extension, enforce
from ccrouter.compliance.policy import Policy
from ccrouter.config.customs import installed_transforms
from ccrouter.config.report import suggestion
from ccrouter.config.schema import Config, CustomTransformer, Provider, Target, TransformSpec
from ccrouter.config.transform_options import OPTIONS
from ccrouter.errors import ConfigError, Denied, ExtensionError, Problem, RouterError
from ccrouter.extensions.aside import Aside
from ccrouter.extensions.context import RequestView, RouteContext
from ccrouter.extensions.faults import Faults, Journal
from ccrouter.extensions.files import ROUTER, Closable, RouterFile, TransformFile, is_javascript, module_file
from ccrouter.extensions.guarded import Guarded
from ccrouter.extensions.node.module import Node
from ccrouter.extensions.prompt import PromptRewrite
from ccrouter.extensions.shelf import PythonCode, Shelf, Workshop
from ccrouter.jsontypes import JsonObject
from ccrouter.messages.request import MessagesRequest
from ccrouter.transforms.base import Transform
from ccrouter.transforms.chain import Chain
from ccrouter.transforms.registry import Chains, built_in

_NO_NODE = "is JavaScript, and there is no `node` on the PATH to run it"
_HINT = "install Node.js 18 or later, or write it in Python: docs/extending.md shows how"


class Extensions:
    """Build one with `open`, retire it when another takes its place, `close` it at the end.

    `generation` grows with each version of the code: what was made of transforms before is to be made anew then.
    """

    def __init__(self, config: Config, policy: Policy, environ: Mapping[str, str], journal: Journal) -> None:
        self.generation = 0
        self._policy = policy
        self._file = str(config.path or "the defaults")
        node = Node.find(config, environ) if _needs_node(config) else None
        self._shop = Workshop(Aside(), Faults(journal), node)
        self._files: list[TransformFile] = []
        self._installed: dict[str, Shelf] = {}
        self._router: RouterFile | None = None
        self._prompt: PromptRewrite | None = None
        self._active: Counter[int] = Counter()
        self._outdated: list[tuple[int, Closable]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._is_retired = False
        self.is_closed = False

    @classmethod
    async def open(cls, config: Config, policy: Policy, environ: Mapping[str, str], journal: Journal) -> Extensions:
        """Everything that `config` names, loaded. Raises ConfigError with all that cannot be, and all that `policy`
        does not allow: then nothing runs.
        """
        made = cls(config, policy, environ, journal)
        problems: list[Problem] = []
        try:
            await made._open(config, problems)
            if problems:
                raise ConfigError(problems)  # noqa: TRY301 - closed below, as after any other failure
        except BaseException:
            await made.close()
            raise
        return made

    async def _open(self, config: Config, problems: list[Problem]) -> None:
        for entry in config.custom_transformers:
            with self._noting(problems, f"{entry.place}.path"):
                self._allow("transforms", f"custom transformer {entry.path}")
                await self._open_transforms(entry)
        if config.custom_router is not None:
            with self._noting(problems, ROUTER):
                path = config.custom_router.path
                self._allow("customRouter", f"{ROUTER} ({path})")
                self._require(path)
                router = RouterFile(config.custom_router, self._shop)
                await router.open()
                self._router = router
        if config.rewrite_system_prompt is not None:
            with self._noting(problems, "REWRITE_SYSTEM_PROMPT"):
                path = config.rewrite_system_prompt
                self._allow("promptRewrite", f"REWRITE_SYSTEM_PROMPT ({path})")
                self._prompt = PromptRewrite(path, self._file, self._shop.faults.journal)
        if problems:  # then names may be missing for want of a file
            return
        for provider in config.providers:
            for spec in _specs(provider):
                what = f'the transformer "{spec.name}" of provider "{provider.name}"'
                with self._noting(problems, what):
                    await self._make(spec, what)

    async def _open_transforms(self, entry: CustomTransformer) -> None:
        self._require(entry.path)
        file = TransformFile(entry, self._shop)
        await file.open()
        self._files.append(file)
        before = [name for other in self._files[:-1] for name in other.names if name in file.names]
        if before:
            raise ExtensionError(f"another file has a transform called {before[0]!r}: give one of them a `name`")

    def _require(self, path: Path) -> None:
        """Raises ExtensionError if nothing is there that could be run."""
        if is_javascript(path) and self._shop.node is None:
            raise ConfigError([Problem(self._file, "", f"{path} {_NO_NODE}", _HINT)])
        if not module_file(path).is_file() and not path.is_dir():
            raise ExtensionError(f"there is no file {path}")

    def _allow(self, point: str, what: str) -> None:
        """Raises Denied if the policy does not allow it."""
        enforce(self._policy, Extension(point, what))  # type: ignore[arg-type] # one of the points, as each caller says

    @contextlib.contextmanager
    def _noting(self, problems: list[Problem], path: str) -> Iterator[None]:
        """What goes wrong within becomes problems at `path`."""
        try:
            yield
        except ConfigError as error:
            problems += [replace(one, file=one.file or self._file, path=one.path or path) for one in error.problems]
        except Denied as denied:
            problems.append(Problem(self._file, path, str(denied)))
        except RouterError as error:
            problems.append(Problem(self._file, path, str(error)))

    # -- requests --------------------------------------------------------------------------------------------------

    def concern(self, config: Config) -> bool:
        """True if a request under `config` may meet any of it: else nobody need ask."""
        if self._router is not None or self._prompt is not None:
            return True
        return any(self._is_custom(spec) for provider in config.providers for spec in _specs(provider))

    @contextlib.asynccontextmanager
    async def in_use(self) -> AsyncIterator[None]:
        """For the time of one request. What has changed on disk is in force for it, or the log has said why not."""
        await self._refresh()
        generation = self.generation
        self._active[generation] += 1
        try:
            yield
        finally:
            self._active[generation] -= 1
            if not self._active[generation]:
                del self._active[generation]
            self._clear_away()

    async def prepare(self, targets: Sequence[Target]) -> None:
        """Every transform of `targets` is there after the call. Raises RouterError, Denied included."""
        for target in targets:
            for spec in (*target.provider.transforms, *target.provider.model_transforms.get(target.model, ())):
                await self._make(spec, f'the transformer "{spec.name}" of provider "{target.provider.name}"')

    def chains(self) -> Callable[[Target], Chain]:
        """What makes the chain of a target, by the code that there is when it is asked; `prepare` its target first."""
        return _LiveChains(self, self._shop.aside).of

    def transform(self, spec: TransformSpec) -> Transform:
        """The transform that `spec` names: the user's, else an installed one, else the router's own."""
        if not self._is_custom(spec):
            return built_in(spec)
        shelf = self._shelf_of(spec)
        made = shelf.find(spec.name, spec.options) if shelf else None
        if made is None:
            raise ExtensionError(f"transform {spec.name!r} is not there any more")
        return made

    def rewrite(self, request: MessagesRequest) -> MessagesRequest:
        """The request with the user's system prompt, if there is one."""
        return request if self._prompt is None else self._prompt.apply(request)

    @property
    def names(self) -> tuple[str, ...]:
        """What `use` may call the transforms that were loaded, folded."""
        return (*(name for file in self._files for name in file.names), *self._installed)

    @property
    def router_name(self) -> str:
        """The file of the custom router, "" without one."""
        return self._router.name if self._router is not None else ""

    async def route(self, request: RequestView, config: JsonObject, context: RouteContext) -> object:
        """What the custom router answers; None without one, and for one that has failed where that is to be so.

        Raises ExtensionError if it failed.
        """
        if self._router is None:
            return None
        self._allow("customRouter", f"{ROUTER} ({self._router.name})")
        return await self._router.route(request, config, context)

    # -- the end ---------------------------------------------------------------------------------------------------

    def retire(self) -> None:
        """No new request will use it: it is closed with the last one that does."""
        self._is_retired = True
        self._clear_away()

    async def close(self) -> None:
        """After the call nothing of it runs, whoever used it."""
        outdated, self._outdated = self._outdated, []
        for _, code in outdated:
            await code.close()
        await asyncio.gather(*self._closing - {asyncio.current_task()})
        for file in self._files:
            await file.close()
        if self._router is not None:
            await self._router.close()
        self._shop.aside.close()
        self.is_closed = True

    def _clear_away(self) -> None:
        """Close what no request uses any more, in tasks of its own: nobody waits for processes to end."""
        oldest = min(self._active, default=self.generation + 1)
        unused = [code for generation, code in self._outdated if generation < oldest]
        self._outdated = [one for one in self._outdated if one[0] >= oldest]
        ends: list[Coroutine[Any, Any, None]] = [code.close() for code in unused]
        if self._is_retired and not self._active:
            ends.append(self.close())
        for end in ends:
            task = asyncio.get_running_loop().create_task(end)
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    # -- names -----------------------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        for file in self._files:
            self._note(await file.refresh())
        if self._router is not None:
            self._note(await self._router.refresh())
        if self._prompt is not None:
            self._prompt.refresh()

    def _note(self, before: Closable | None) -> None:
        if before is not None:
            self._outdated.append((self.generation, before))
            self.generation += 1

    def _is_custom(self, spec: TransformSpec) -> bool:
        folded = spec.name.casefold()
        return bool(spec.path) or folded not in OPTIONS or any(folded in file.names for file in self._files)

    def _shelf_of(self, spec: TransformSpec) -> Shelf | None:
        folded = spec.name.casefold()
        for file in self._files:
            if folded in file.names:
                return file.shelf
        return self._installed.get(folded)

    async def _make(self, spec: TransformSpec, what: str) -> None:
        """The transform is there after the call, if it is not the router's own. Raises RouterError, Denied included."""
        if not self._is_custom(spec):
            return
        self._allow("transforms", what)
        shelf = self._shelf_of(spec) or await self._install(spec)
        if shelf.find(spec.name, spec.options) is None:
            await shelf.make(spec.name, spec.options)

    async def _install(self, spec: TransformSpec) -> Shelf:
        """What an installed package offers under that name."""
        installed = installed_transforms()
        entry = installed.get(spec.name.casefold())
        if entry is None:
            known = [*OPTIONS, *(name for file in self._files for name in file.names), *installed]
            message = f"no transformer is called {spec.name!r}"
            raise ConfigError([Problem(self._file, "", message, suggestion(spec.name, known))])
        code = await PythonCode.installed(entry, CustomTransformer.timeout, self._shop)
        shelf = self._installed[spec.name.casefold()] = Shelf(code)
        return shelf


class _LiveChains:
    """Chains by the code that there is."""

    def __init__(self, extensions: Extensions, aside: Aside) -> None:
        self._extensions = extensions
        self._aside = aside
        self._begin()

    def _begin(self) -> None:
        self._generation = self._extensions.generation
        self._chains = Chains(self._extensions.transform)
        self._driven: dict[int, Chain] = {}

    def of(self, target: Target) -> Chain:
        if self._generation != self._extensions.generation:
            self._begin()
        chain = self._chains.of(target)
        if not any(isinstance(one, Guarded) and one.may_block for one in chain.transforms):
            return chain
        if id(chain) not in self._driven:  # it lives as long as these
            self._driven[id(chain)] = replace(chain, drive=self._aside.carry_out)
        return self._driven[id(chain)]


def _specs(provider: Provider) -> Iterator[TransformSpec]:
    """Every transform that the provider names, for whichever model."""
    yield from provider.transforms
    for specs in provider.model_transforms.values():
        yield from specs


def _needs_node(config: Config) -> bool:
    paths = [entry.path for entry in config.custom_transformers]
    paths += [config.custom_router.path] if config.custom_router is not None else []
    return any(map(is_javascript, paths))
