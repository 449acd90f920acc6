"""The model of `mind` behind Gemini's own API: generateContent, streamed and not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.certify.mind import KEY, Heard, Said, Temper, _password, answer
from tests.upstream import Received, Reply, json_reply, sse_reply


@dataclass
class GeminiServer:
    """generateContent and streamGenerateContent under /v1beta/models, and the list of models. The key is in a header."""

    temper: Temper = field(default_factory=Temper)
    seen: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, received: Received) -> Reply:
        if received.headers.get("x-goog-api-key") != KEY:
            return _refusal(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT")
        if received.method == "GET":
            models = [
                {"name": f"models/{name}", "supportedGenerationMethods": ["generateContent"], "inputTokenLimit": 1000}
                for name in self.temper.models
            ]
            others = [{"name": "models/embedder", "supportedGenerationMethods": ["embedContent"]}]
            return json_reply({"models": models + others})
        model, _, method = received.path.rpartition("/")[2].partition(":")
        if model not in self.temper.models:
            return _refusal(404, f"models/{model} is not found for API version v1beta", "NOT_FOUND")
        body = received.json()
        self.seen.append(body)
        parts = [part for one in body["contents"] for part in one["parts"]]
        if self.temper.images == "refused" and any("image" in str(part.get("inlineData")) for part in parts):
            return _refusal(400, "Image input modality is not enabled for this model", "INVALID_ARGUMENT")
        config = body.get("generationConfig", {})
        if len(config.get("stopSequences", [])) > self.temper.max_stops:
            return _refusal(400, "The number of stop_sequences must be at most 5", "INVALID_ARGUMENT")
        limit = config.get("maxOutputTokens", 0)
        if self.temper.cap and limit > self.temper.cap:
            words = f"maxOutputTokens value of {limit} but the supported range is from 1 (inclusive) to "
            return _refusal(400, f"{words}{self.temper.cap + 1} (exclusive).", "INVALID_ARGUMENT")
        said = answer(self._hear(body, is_streamed=method.startswith("stream")), self.temper)
        return self._reply(said, model, is_streamed=method.startswith("stream"))

    def _hear(self, body: dict[str, Any], *, is_streamed: bool) -> Heard:
        parts = [(one.get("role", "user"), part) for one in body["contents"] for part in one["parts"]]
        config = body.get("generationConfig", {})
        calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
        functions = [one["name"] for tool in body.get("tools", []) for one in tool.get("functionDeclarations", [])]
        results = [json.dumps(part["functionResponse"]["response"]) for _, part in parts if "functionResponse" in part]
        data = [part["inlineData"] for _, part in parts if "inlineData" in part]
        data += [
            inner["inlineData"] for _, part in parts if "functionResponse" in part
            for inner in part["functionResponse"].get("parts", [])
        ]  # fmt: skip
        files = [one["data"] for one in data if one["mimeType"] == "application/pdf"]
        allowed = calling.get("allowedFunctionNames", [])
        mode = {"AUTO": "auto", "NONE": "none", "ANY": "named" if allowed else "required"}[calling.get("mode", "AUTO")]
        thinking = config.get("thinkingConfig", {})
        return Heard(
            words=[("assistant" if role == "model" else role, part["text"]) for role, part in parts if "text" in part],
            stream=is_streamed,
            limit=config.get("maxOutputTokens", 1024),
            tools=tuple(functions),
            choice=mode,
            named=allowed[0] if allowed else "",
            stops=tuple(config.get("stopSequences", [])),
            image=any(one["mimeType"].startswith("image/") for one in data),
            file=_password(files[0]) if files else "",
            result=results[-1] if results else "",
            thinks=bool(thinking.get("includeThoughts")) if thinking and self.temper.thinking else None,
        )

    def _reply(self, said: Said, model: str, *, is_streamed: bool) -> Reply:
        parts: list[dict[str, Any]] = [{"text": said.thinking, "thought": True}] if said.thinking else []
        pieces = [said.text[at : at + 12] for at in range(0, len(said.text), 12)] if is_streamed else [said.text]
        parts += [{"text": piece} for piece in pieces if piece]
        parts += [{"functionCall": {"name": name, "args": arguments}} for _, name, arguments in said.calls]
        usage = {"promptTokenCount": 30, "candidatesTokenCount": 5, "totalTokenCount": 35}
        ending = "MAX_TOKENS" if said.cut else "STOP"
        if not is_streamed:
            return json_reply(_chunk(parts, model, ending, usage))
        chunks = [_chunk([part], model) for part in parts] + [_chunk([], model, ending, usage)]
        return sse_reply([b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunks])


def _chunk(
    parts: list[dict[str, Any]], model: str, ending: str = "", usage: dict[str, Any] | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if ending:
        candidate["finishReason"] = ending
    return {"candidates": [candidate], "modelVersion": model, **({"usageMetadata": usage} if usage else {})}


def _refusal(status: int, message: str, word: str) -> Reply:
    return json_reply({"error": {"code": status, "message": message, "status": word}}, status)
