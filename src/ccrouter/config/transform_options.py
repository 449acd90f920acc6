"""The router's own transforms by name, and the options of each: what a configuration may say of them. Data, and the
reading of it. What they do is in `ccrouter.transforms`, one module each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ccrouter.config.kinds import Anything, Choice, Flag, ListOf, Number, Text
from ccrouter.config.record import Record, read_record
from ccrouter.config.report import Place, closest
from ccrouter.config.table import Field, Table
from ccrouter.jsontypes import Json, JsonObject

#: The member of `customparams` whose own members replace what is there, instead of filling gaps.
OVERRIDE = "$override"

_MAX_TOKENS = Field(
    "max_tokens",
    Number(1, 10**9, "tokens"),
    "The most that may be asked for.",
    aliases=("max_completion_tokens", "max_output_tokens"),
)
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Options:
    """What the options of one transform may be.

    `fields` are its options; with `are_members` further ones are members of the request's body. `is_lenient`: the
    classic router took any option there and ignored those it did not know, so they are worth a warning only.
    `needed` names the option without which it does nothing; of `together` none means anything without the others.
    """

    doc: str
    fields: tuple[Field, ...] = ()
    are_members: bool = False
    is_lenient: bool = False
    needed: str = ""
    together: tuple[str, ...] = ()

    def read(self, name: str, value: JsonObject, place: Place) -> JsonObject:
        """The options in canonical form. What is wrong with them goes to the report of `place`."""
        record = read_record(Table(name, self.doc, self.fields, others="read here"), value, place)
        options: JsonObject = {field.name: record.get(field.name) for field in self.fields if field.name in record.keys}
        options = {key: read for key, read in options.items() if read is not None}
        if self.are_members:
            options |= {key: Anything("any").read(other, place.key(key)) for key, other in record.others.items()}
        else:
            self._refuse(name, record, place)
        if self.needed and self.needed not in options and not record.is_written(self.needed):
            place.warn(f"{name} does nothing without {self.needed}", f'write ["{name}", {{ "{self.needed}": ... }}]')
        if 0 < len(options.keys() & set(self.together)) < len(self.together):
            place.refuse(f"must have all of {', '.join(self.together)}, or none")
        return options

    def _refuse(self, name: str, record: Record, place: Place) -> None:
        known = [field.name for field in self.fields]
        for key in record.others:
            near = closest(key, known)
            hint = f'did you mean "{near}"?' if near else f"its options: {', '.join(known)}"
            if not known:
                hint = 'write its name alone; members of the request go into `extra_body`, or ["customparams", { ... }]'
            if self.is_lenient:
                place.key(key).warn(f"is no option of {name}, and does nothing", hint)
            else:
                place.key(key).refuse(f"is no option of {name}", hint)


#: Whatever names a wire format decides where requests go and how they are signed; these are its options.
_BEARER = Field(
    "UseBearer", Flag(), "`true`: the key goes as `Authorization: Bearer` alone; `false`: as `x-api-key` alone."
)
_PROJECT = Field("project", Text(), "The cloud project.", aliases=("project_id",))
_LOCATION = Field("location", Text(), "The cloud's region.", aliases=("region",))

OPTIONS: Mapping[str, Options] = {
    "anthropic": Options("Says that the provider speaks Anthropic Messages.", (_BEARER,)),
    "openai": Options("Says that the provider speaks OpenAI Chat Completions."),
    "openai-responses": Options("Says that the provider speaks OpenAI's Responses API."),
    "gemini": Options("Says that the provider speaks Google's Gemini API."),
    "vertex-gemini": Options("Says that the provider is Gemini on Google's Vertex AI.", (_PROJECT, _LOCATION)),
    "vertex-claude": Options("Says that the provider is Claude on Google's Vertex AI.", (_PROJECT, _LOCATION)),
    "deepseek": Options("Caps the length of answers.", (_MAX_TOKENS,)),
    "openrouter": Options("Its options become members of the request.", are_members=True),
    "vercel": Options("Its options become members of the request.", are_members=True),
    "groq": Options("Its options become members of the request.", are_members=True),
    "tooluse": Options(
        "Has the model call a tool at every turn, the last one being the answer.",
        (
            Field("force", Choice(("auto", "true", "false")), "Whether a call is demanded.", default="auto"),
            Field("reminder", Text(), "The words that tell the model so."),
        ),
    ),
    "enhancetool": Options(
        "Repairs arguments of tools that are not valid JSON.",
        (
            Field("tools", ListOf(Text()), "Only calls of these tools.", default="all"),
            Field(
                "unreadable", Choice(("text", "empty")), "What becomes of arguments that are no object.", default="text"
            ),
        ),
    ),
    "reasoning": Options(
        "Says whether, and how hard, the model is to think.",
        (
            Field("enable", Flag(), "`false` switches thinking off.", default="true"),
            Field("effort", Choice(_EFFORTS), "The effort to ask for where thinking is on.", default="the client's"),
        ),
        is_lenient=True,
    ),
    "forcereasoning": Options(
        "Has a model that does not think by itself write its reasoning down first.",
        (
            Field("turns", Number(0, 10**6), "Of how many of the last turns earlier reasoning is shown.", default="10"),
            Field("prompt", Text(), "The words that ask for it."),
            Field("tag", Text(), "The tag around it.", default="reasoning_content"),
        ),
    ),
    "maxtoken": Options("Caps the length of answers.", (_MAX_TOKENS,), is_lenient=True, needed="max_tokens"),
    "maxcompletiontokens": Options(
        "Sends the limit under OpenAI's newer name.", (_MAX_TOKENS,), is_lenient=True
    ),
    "sampling": Options(
        "Sets sampling.",
        (
            _MAX_TOKENS,
            Field("temperature", Number(0, 10, is_whole=False), "Set."),
            Field("top_p", Number(0, 1, is_whole=False), "Set."),
            Field("top_k", Number(-1, 10**6), "Set."),
            Field("repetition_penalty", Number(0, 10, is_whole=False), "Set, in Chat requests."),
        ),
        is_lenient=True,
    ),
    "customparams": Options(
        "Adds members to requests.",
        (Field(OVERRIDE, Anything(), "Members that replace what is there; null removes one."),),
        are_members=True,
    ),
    "streamoptions": Options(
        "Has a streamed Chat answer tell its usage.",
        (Field("include_usage", Flag(), "`false` leaves the wish out.", default="true"),),
    ),
    "cleancache": Options(
        "Takes every `cache_control` out of requests.",
        (
            Field(
                "keep", ListOf(Choice(("system", "tools", "messages"))), "Where they stay.", default="nowhere"
            ),
        ),
    ),
    "cerebras": Options("Its options become members of the request.", are_members=True),
    "extrathinktag": Options(
        "Takes thinking in tags out of the text.",
        (
            Field("tag", ListOf(Text()), "The tags' names.", aliases=("tags",), default="think"),
            Field("open", Text(), "The opening tag, for tags of another form."),
            Field("close", Text(), "The closing tag, for tags of another form."),
            Field("where", Choice(("anywhere", "start")), "Where in a text tags are looked for.", default="anywhere"),
            Field("begins_inside", Flag(), "Answers begin amid thinking: only the end is tagged.", default="false"),
        ),
        together=("open", "close"),
    ),
}  # fmt: skip


def provider_options(options: JsonObject) -> dict[str, str]:
    """What the options of a wire format mean for the provider (`Provider.options`)."""
    found = {key: value for key, value in options.items() if isinstance(value, str)}
    bearer: Json = options.get("UseBearer")
    if isinstance(bearer, bool):
        auth: Literal["bearer", "x-api-key"] = "bearer" if bearer else "x-api-key"
        found["auth"] = auth
    return found
