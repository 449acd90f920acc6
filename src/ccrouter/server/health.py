"""The endpoints of health: how every target and every key is, and forgetting what is bad about them.

Of a key its label and source are told, never the key itself or what tells it apart. Times of the clock that the router
works by become those of a calendar when they are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.responses import JSONResponse, Response

from ccrouter.config.schema import DRY_RUN, Config, PoolKey, Provider, Retries
from ccrouter.errors import ClientError
from ccrouter.jsontypes import JsonObject
from ccrouter.routing.catalog import Catalog, refs_of, shown
from ccrouter.routing.health import Health, KeyState, Load, Rest, TargetState
from ccrouter.server.call import Call
from ccrouter.server.endpoints import timestamp

_WHERE = "GET /api/health/targets lists those that are"
_REASONS = {"rate_limit": "a rate limit of the provider", "quota": "the account's credit or quota is used up"}


async def read_targets(call: Call) -> Response:
    """Every target that the router names or that something is known of, and every key of every provider."""
    return JSONResponse(survey(call))


def survey(call: Call) -> JsonObject:
    """The same as facts."""
    health, config = call.process.health, call.edition.config
    look = _Survey(health, health.now, datetime.now(UTC))
    shown_ones = [one for one in config.providers if one.name != DRY_RUN] or config.providers  # as in /providers
    return {
        "at": timestamp(look.wall),
        "targets": [look.target(*name) for name in _targets(health, config)],
        "providers": [look.provider(provider) for provider in shown_ones],
        "retry": _told_retries(config.retries),
        "inWork": call.process.admission.snapshot(),
    }


async def reset(call: Call) -> Response:
    """Forget what is bad: of the target, of all of a provider, or of everything. The log tells of it.

    Raises ClientError: 400 for what is no reset, 404 for a provider or model that is not known here.
    """
    told = forget(call, await call.json_object())
    scope = ",".join(filter(None, (told["provider"], told["model"]))) or "everything"
    return JSONResponse({"success": True, "message": f"forgotten what was bad of {scope}", **told})


def forget(call: Call, given: JsonObject) -> JsonObject:
    """`reset` for what is `given`; the provider and the model that it was, None for all. Raises ClientError as that."""
    provider, model = _named(given, call.process.health, call.edition.config)
    call.process.health.reset(provider, model)
    told: JsonObject = {"provider": provider or None, "model": model or None}
    call.process.voice.event("info", "health was reset", reqId=call.id, **told)
    return told


def _targets(health: Health, config: Config) -> list[tuple[str, str]]:
    """Those that the router names, in its order, then those that were asked for by name and have failed."""
    catalog = Catalog(config.providers)
    named = [target for ref in refs_of(config.router) if (target := catalog.target(ref)) is not None]
    return list(dict.fromkeys([*((one.provider.name, one.model) for one in named), *sorted(health.known_targets())]))


def _named(given: JsonObject, health: Health, config: Config) -> tuple[str, str]:
    """Provider and model in the spelling that they are known by, "" for all."""
    unknown = sorted(given.keys() - {"provider", "model"})
    if unknown:
        raise ClientError(f"{shown(unknown[0])} is not known here (known: model, provider)")
    for name, value in given.items():
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise ClientError(f"{name}: must be a name")
    provider, model = (str(given.get(name) or "").strip() for name in ("provider", "model"))
    if not provider:
        if model:
            raise ClientError("provider: a model is reset at its provider: name both")
        return "", ""
    found = Catalog(config.providers).provider(provider)
    if found is None:
        message = f"provider {shown(provider)} is not configured; {_WHERE}"
        raise ClientError(message, status=404, type="not_found_error")
    known = [*_models(health, config, found), *found.models]
    if model and model not in known:
        same = [one for one in known if one.casefold() == model.casefold()]
        if not same:
            message = f"nothing is known of a model {shown(model)} at {found.name}; {_WHERE}"
            raise ClientError(message, status=404, type="not_found_error")
        model = same[0]
    return found.name, model


def _models(health: Health, config: Config, provider: Provider) -> Iterable[str]:
    """Models of `provider` of which anything is told: as targets, or because one of its keys rests for them."""
    yield from (model for name, model in _targets(health, config) if name == provider.name)
    for key in provider.pool:
        state = health.key_state(provider.name, key.id)
        yield from state.rests if state is not None else ()


def _told_retries(retries: Retries) -> JsonObject:
    return {
        "again": retries.again,
        "waitSeconds": retries.wait,
        "attempts": retries.attempts,
        "openAfter": retries.open_after,
        "openSeconds": retries.open_seconds,
    }


@dataclass(frozen=True, slots=True)
class _Survey:
    """What is told of targets and keys at one moment: `now` of the clock, `wall` of the calendar."""

    health: Health
    now: float
    wall: datetime

    def target(self, provider: str, model: str) -> JsonObject:
        state = self.health.target_state(provider, model) or TargetState()
        is_failed = state.failures > 0
        return {
            "provider": provider,
            "model": model,
            "state": self._state_of(state),
            "failures": state.failures,
            **self._until(state.open_until),
            "lastFailure": {
                "kind": state.last_failure,
                "secondsAgo": round(max(0.0, self.now - state.last_failed), 1),
                "at": self._moment(state.last_failed),
            }
            if is_failed
            else None,
        }

    def provider(self, provider: Provider) -> JsonObject:
        return {"name": provider.name, "keys": [self._key(provider, key) for key in provider.pool]}

    def _state_of(self, target: TargetState) -> str:
        """`trying` from when its time is over to the next request's end: one request at a time tries it out."""
        if not target.open_until:
            return "failing" if target.failures else "well"
        return "open" if self.now < target.open_until and self.now >= target.probed_until else "trying"

    def _key(self, provider: Provider, key: PoolKey) -> JsonObject:
        state = self.health.key_state(provider.name, key.id) or KeyState()
        load = self.health.load_of(provider.name, key)
        rests = {model: rest for model, rest in state.rests.items() if rest.until > self.now}
        name, reason = self._state_of_key(state, key, load, rests)
        return {
            "label": key.label,
            "source": key.source or None,
            "state": name,
            "reason": reason or None,
            "weight": key.weight,
            "priority": key.priority,
            "limits": {
                "requestsPerMinute": _limit(key.per_minute, load.requests),
                "tokensPerMinute": _limit(key.tokens_per_minute, load.tokens),
                "concurrent": _limit(key.concurrent, load.at_work),
            },
            **self._until(load.free_at if name == "limited" else 0.0),
            "rests": [
                {
                    "model": model,
                    **self._until(rest.until),
                    "reason": _REASONS.get(rest.reason, rest.reason),
                    "toldByProvider": rest.is_told,
                }
                for model, rest in sorted(rests.items())
            ],
            "quota": self._quota(provider, key),
        }

    def _quota(self, provider: Provider, key: PoolKey) -> JsonObject | None:
        """What the provider said last is left; of a limit whose time is over since, nothing but its size."""
        quota = self.health.quotas.of(provider.name, key.id)
        if quota is None:
            return None
        told: list[JsonObject] = []
        for one in quota.allowances:
            resets = None if one.resets is None else quota.at + one.resets
            is_over = resets is not None and resets <= self.now
            told.append({
                "name": one.name,
                "limit": one.limit,
                "remaining": None if is_over else one.remaining,
                "usedShare": None if is_over else one.used,
                "resetsInSeconds": None if resets is None or is_over else round(resets - self.now, 1),
            })  # fmt: skip
        return {"at": self._moment(quota.at), "limits": told}

    def _state_of_key(self, state: KeyState, key: PoolKey, load: Load, rests: dict[str, Rest]) -> tuple[str, str]:
        if state.disabled:
            return "disabled", state.disabled
        if rests:
            longest = max(rests.values(), key=lambda rest: rest.until)
            return "resting", _REASONS.get(longest.reason, longest.reason)
        if load.free_at > self.now:
            return "limited", ", ".join(_used_up(key, load))
        return "ready", ""

    def _until(self, moment: float) -> JsonObject:
        """When it is asked again; both are null where nothing is waited for."""
        if moment <= self.now:
            return {"secondsLeft": None, "until": None}
        return {"secondsLeft": round(moment - self.now, 1), "until": self._moment(moment)}

    def _moment(self, moment: float) -> str:
        return timestamp(self.wall + timedelta(seconds=moment - self.now))


def _limit(limit: int, used: int) -> JsonObject | None:
    return {"limit": limit, "used": used} if limit else None


def _used_up(key: PoolKey, load: Load) -> Iterator[str]:
    if key.per_minute and load.requests >= key.per_minute:
        yield f"{key.per_minute} requests a minute are used up"
    if key.tokens_per_minute and load.tokens >= key.tokens_per_minute:
        yield f"{key.tokens_per_minute} tokens a minute are used up"
    if key.concurrent and load.at_work >= key.concurrent:
        yield f"{key.concurrent} of {key.concurrent} requests are at work"
