"""A client that behaves as Claudable's router adapter does, run by an interpreter that has httpx.

Arguments: base URL, project folder, then one instruction each; options before them. It prints, as JSON on
stdout, the texts it showed, the tools it ran and the error it hit. What Claudable reads and what it ignores is
deliberate here: only `output_text` blocks and `output_text_delta` count as text (unless --corrected).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

ROUNDS = 10
SYSTEM = "You are Claudable, an advanced AI coding assistant."
CORRECTED_TOOLS = [
    {
        "name": name,
        "description": name,
        "input_schema": {"type": "object", "properties": {key: {"type": "string"} for key in keys}},
    }
    for name, keys in {
        "Read": ["file_path"],
        "Write": ["file_path", "content"],
        "Edit": ["file_path", "old_content", "replacement"],
        "LS": ["path"],
        "Bash": ["command"],
    }.items()
]


class Adapter:
    """One session with the router."""

    def __init__(self, base: str, project: Path, *, key: str | None, model: str, corrected: bool) -> None:
        self.base = base.rstrip("/")
        self.project = project
        self.model = model
        self.corrected = corrected
        self.headers = {"content-type": "application/json"}
        if key:
            self.headers |= {"x-api-key": key, "authorization": f"Bearer {key}"}
        if corrected:
            self.headers["x-ccr-client"] = "standard"
        self.messages: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.ran: list[dict[str, Any]] = []
        self.usages: list[dict[str, Any]] = []

    async def healthy(self, client: httpx.AsyncClient) -> None:
        answer = await client.get(f"{self.base}/health", headers=self.headers, timeout=5)
        if answer.status_code != 200:
            raise RuntimeError(f"Router health check failed: {answer.status_code} {answer.text[:200]}")

    async def instruct(self, instruction: str, *, first: bool) -> None:
        text = instruction
        if first:
            names = sorted(str(path.relative_to(self.project)) for path in self.project.rglob("*") if path.is_file())
            text += "\n\n<initial_context>\n" + "\n".join(names[:200]) + "\n</initial_context>"
        self.messages.append({"role": "user", "content": [{"type": "text", "text": text}]})
        async with httpx.AsyncClient() as client:
            await self.healthy(client)
            for _ in range(ROUNDS):
                blocks = await self.ask(client)
                content = []
                for block in blocks:
                    if block["type"] in ("output_text", "text"):
                        content.append({"type": "text", "text": block["text"]})
                    else:
                        content.append(
                            {
                                "type": "tool_use",
                                "id": block["id"],
                                "name": block["name"],
                                "input": block["input"],
                            }
                        )
                self.messages.append({"role": "assistant", "content": content})
                calls = [block for block in content if block["type"] == "tool_use"]
                for call in calls:
                    said, failed = self.execute(call["name"], call["input"])
                    self.ran.append({"name": call["name"], "input": call["input"], "result": said, "error": failed})
                    result = {
                        "type": "tool_result",
                        "tool_use_id": call["id"],
                        "content": said,
                        "is_error": failed,
                    }
                    self.messages.append({"role": "user", "content": [result]})
                if not calls:
                    return
        raise RuntimeError("the tool loop did not end")

    async def ask(self, client: httpx.AsyncClient) -> list[dict[str, Any]]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": self.messages,
            "system": [{"type": "text", "text": SYSTEM}],
            "stream": True,
            "metadata": {"user_id": "project_demo-project_session_6f1c"},
        }
        if self.corrected:
            body |= {"max_tokens": 4096, "tools": CORRECTED_TOOLS}
        blocks: dict[int, dict[str, Any]] = {}
        usage: dict[str, Any] = {}
        request = client.stream("POST", f"{self.base}/v1/messages", json=body, headers=self.headers, timeout=None)
        async with request as answer:
            if answer.status_code >= 400:
                shown = (await answer.aread()).decode(errors="replace")[:500]
                raise RuntimeError(f"Router error {answer.status_code}: {shown}")
            async for event, data in frames(answer):
                self.take(event, data, blocks, usage)
        self.usages.append(usage)
        finished = [block for _, block in sorted(blocks.items())]
        self.texts += [block["text"] for block in finished if "text" in block]
        return finished

    def take(self, event: str, data: dict[str, Any], blocks: dict[int, dict[str, Any]], usage: dict[str, Any]) -> None:
        names = ("output_text", "text") if self.corrected else ("output_text",)
        deltas = ("output_text_delta", "text_delta") if self.corrected else ("output_text_delta",)
        if event == "content_block_start":
            start = data["content_block"]
            if start["type"] in names:
                blocks[data["index"]] = {"type": "output_text", "text": ""}
            elif start["type"] == "tool_use":
                blocks[data["index"]] = {
                    "type": "tool_use",
                    "id": start["id"],
                    "name": start["name"],
                    "json": "",
                }
        elif event == "content_block_delta":
            block = blocks.get(data["index"])
            delta = data["delta"]
            if block and block["type"] == "output_text" and delta["type"] in deltas:
                block["text"] += delta["text"]
            elif block and delta["type"] == "input_json_delta":
                block["json"] += delta["partial_json"]
        elif event == "content_block_stop":
            block = blocks.get(data["index"])
            if block and block["type"] == "tool_use":
                try:
                    block["input"] = json.loads(block["json"]) if block["json"] else {}
                except ValueError:
                    block["input"] = {"raw": block["json"]}
        elif event == "message_delta":
            usage.update(data["usage"])
        elif event == "error":
            raise RuntimeError(data["error"])

    def execute(self, name: str, given: dict[str, Any]) -> tuple[str, bool]:
        """The tool's text and whether it failed, as the adapter's local tools give them."""
        kind = re.sub("_", "", name.lower())
        path = self.project / str(given.get("file_path") or given.get("path") or given.get("file") or ".")
        if not path.resolve().is_relative_to(self.project.resolve()):
            return "Path is outside the project", True
        try:
            if kind in ("read", "readfile"):
                return path.read_text(), False
            if kind in ("write", "writefile", "edit", "editfile", "replace"):
                return self.write(path, given), False
            if kind in ("ls", "listdirectory", "readfolder"):
                return "\n".join(sorted(each.name for each in path.iterdir())), False
            if kind in ("bash", "shell", "runterminalcommand"):
                command = given.get("command") or given.get("cmd") or ""
                done = subprocess.run(
                    command, shell=True, cwd=self.project, capture_output=True, text=True, check=False
                )
                return done.stdout, done.returncode != 0
        except (OSError, ValueError) as failure:
            return str(failure), True
        return f"Tool {name} is not supported yet.", True

    def write(self, path: Path, given: dict[str, Any]) -> str:
        content = given.get("content") or given.get("text") or given.get("code") or given.get("new_content")
        if not content:
            old, new = given.get("old_content"), given.get("replacement")
            if not isinstance(old, str) or not isinstance(new, str):
                raise ValueError("No content provided")
            content = path.read_text().replace(old, new)
        path.write_text(content)
        return f"Wrote {path.name}"


async def frames(answer: httpx.Response) -> Any:
    """(event, data) of each frame that has both lines; the lines are what str.splitlines makes of the body."""
    event, data = None, []
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            continue
        if line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].strip())
        elif not line:
            if event and data and data != ["[DONE]"]:
                with suppress(ValueError):  # the delta is lost, as in the original
                    yield event, json.loads("\n".join(data))
            event, data = None, []


async def run(asked: argparse.Namespace) -> dict[str, Any]:
    adapter = Adapter(asked.base, asked.project, key=asked.key, model=asked.model, corrected=asked.corrected)
    error = None
    try:
        for at, instruction in enumerate(asked.instructions):
            await adapter.instruct(instruction, first=at == 0)
    except RuntimeError as failure:
        error = f"Router request failed: {failure}"
    return {"texts": adapter.texts, "ran": adapter.ran, "usages": adapter.usages, "error": error}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key")
    parser.add_argument("--model", default="openrouter,qwen/qwen3-coder")
    parser.add_argument("--corrected", action="store_true")
    parser.add_argument("base")
    parser.add_argument("project", type=Path)
    parser.add_argument("instructions", nargs="+")
    print(json.dumps(asyncio.run(run(parser.parse_args()))))


main()
