"""What a custom router answers, as a route of ours.

It is judged like any other: by the catalog here, by the policy with the plan that is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ccrouter.config.schema import Config
from ccrouter.errors import ExtensionError, NoTarget
from ccrouter.extensions.context import RequestView, RouteContext, config_view
from ccrouter.extensions.extensions import Extensions
from ccrouter.gateway.approval import Approval
from ccrouter.messages.request import MessagesRequest
from ccrouter.routing.catalog import Catalog, shown
from ccrouter.routing.rules import Route

#: The name of the route, for fallbacks; without any of that name it has those of `default`.
CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class CustomRouting:
    """A custom router between what it is shown and what its answer is held against."""

    extensions: Extensions
    config: Config
    catalog: Catalog
    approval: Approval

    async def choose(self, request: MessagesRequest, context: RouteContext) -> Route | None:
        """The route that it chooses; None if it leaves the choice to the rules.

        Raises ExtensionError if it fails, and for an answer that names no configured provider; Denied for one that
        names a provider which the policy does not allow, configured or not.
        """
        answer = await self.extensions.route(RequestView(request), config_view(self.config), context)
        if not answer:
            return None
        file = self.extensions.router_name
        name = f"the custom router ({file})"
        if not isinstance(answer, str) or "," not in answer:
            told = shown(answer) if isinstance(answer, str) else f"a {type(answer).__name__}"
            raise ExtensionError(f'{name} answered {told}; it must answer "provider,model", or nothing')
        self.approval.judge_name(answer)
        try:
            target = self.catalog.resolve(answer)
        except NoTarget as error:
            raise ExtensionError(f"{name} answered {shown(answer)}: {error}") from error
        assert target is not None, "a pair of names is a target, or an error"
        return Route(CUSTOM, target, f"custom router: {file}")
