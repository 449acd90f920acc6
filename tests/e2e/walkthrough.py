"""The second guide from top to bottom, word for word: its commands, its outputs, its configuration, its provider.

Run on an island (tests/e2e/island.py): api.anthropic.com is the name, 443 the port, HTTPS checked. `python -m
tests.e2e.walkthrough FOLDER CLAUDE`; exit code 0 if everything is as the guide says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.e2e.brain import Brain
from tests.e2e.island import Island, environment
from tests.upstream import json_reply

ANTHROPIC_KEY = "sk-ant-api03-of-the-walkthrough-0123456789"
LOCAL_KEY = "your-local-router-secret"  # as the guide exports it
OK = "Router config OK. Local routing only. Anthropic only. Allowed models only.\n"


class Guide:
    """A user with an empty home, a project with a package.json, and the guide."""

    def __init__(self, folder: Path, claude: str, island: Island) -> None:
        self.island = island
        self.home, self.project = folder / "home", folder / "project"
        self.home.mkdir()
        self.project.mkdir()
        (self.project / "package.json").write_text('{\n  "name": "riskexec",\n  "version": "1.0.0"\n}\n')
        self.config = self.home / ".claude-code-router/config.json"
        self.variables = environment(
            self.home,
            ANTHROPIC_API_KEY=ANTHROPIC_KEY,
            CCR_APIKEY=LOCAL_KEY,
            SSL_CERT_FILE=str(island.certificates),
            CLAUDE_PATH=claude,
            IS_SANDBOX="1",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            DISABLE_AUTOUPDATER="1",
            CLAUDE_CODE_MAX_RETRIES="1",
        )

    def run(self, *command: str, entered: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.variables,
            cwd=self.project,
            input=entered,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def npm(self, script: str, *words: str, entered: str = "") -> subprocess.CompletedProcess[str]:
        return self.run("npm", "run", "--silent", script, *(["--", *words] if words else []), entered=entered)

    def ask(self, model: str, path: str = "/v1/messages", key: str = LOCAL_KEY) -> tuple[int, dict]:
        body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "[[GREET]]"}]}
        headers = {"content-type": "application/json", "x-api-key": key}
        request = Request(f"http://127.0.0.1:3456{path}", json.dumps(body).encode(), headers)
        try:
            with urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except HTTPError as refused:
            return refused.code, json.loads(refused.read())


def install_and_verify(guide: Guide) -> None:
    """Both ways of the guide to its first output, from any folder."""
    missing = guide.run("ccr", "verify")
    assert missing.returncode == 2, missing
    assert missing.stderr.startswith("Error: Router config missing at ~/.claude-code-router/config.json\n"), missing
    assert "npm run router:install" in missing.stderr, missing
    added = guide.run("ccr", "install", "--npm")
    assert added.returncode == 0, added
    assert added.stdout == (
        f"Wrote {guide.config}\n"
        "\n"
        "Set env vars before running the router:\n"
        '  export ANTHROPIC_API_KEY="<your_key>"\n'
        '  export CCR_APIKEY="<a_local_secret>"\n'
    ), added
    again = guide.npm("router:install")
    assert (again.returncode, again.stdout) == (0, f"Found existing {guide.config}. Leaving it as is.\n"), again
    verified = guide.npm("router:verify")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, OK, ""), verified
    written = json.loads(guide.config.read_text())
    assert written["Router"]["longContextThreshold"] == 60000
    assert oct(guide.config.stat().st_mode & 0o777) == "0o600"
    assert oct(guide.config.parent.stat().st_mode & 0o777) == "0o700"


def code(guide: Guide) -> None:
    """`npm run router:code`: real Claude Code edits a file, through the router, enforced from the first minute."""
    file = guide.project / "colours.txt"
    file.write_text("colour = red\n")
    words = ("-p", "--output-format", "json", "--permission-mode", "bypassPermissions")
    done = guide.npm("router:code", *words, entered=f"[[EDIT-FILE {file}]]")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["result"] == "EDITED", done
    assert "blau" in file.read_text()
    sent = {request.json()["model"] for request in guide.island.upstream.requests}
    assert sent <= {"claude-sonnet-4-6", "claude-haiku-4-5"}, sent
    assert {request.headers["x-api-key"] for request in guide.island.upstream.requests} == {ANTHROPIC_KEY}
    running = guide.run("ccr", "verify", "--running")
    assert (running.returncode, running.stdout) == (0, OK), running


def ui(guide: Guide) -> None:
    """`npm run router:ui`: the address of the web interface, which asks for the key and then shows what is in force."""
    done = guide.npm("router:ui")
    address = "http://127.0.0.1:3456/ui/"
    assert (done.returncode, done.stdout) == (0, f"Opening UI at {address}\n"), done
    with urlopen(address, timeout=10) as form:
        assert 'type="password"' in form.read().decode()
    with urlopen(Request(address, headers={"x-api-key": LOCAL_KEY}), timeout=10) as page:
        text = page.read().decode()
    assert "anthropic-only" in text
    assert LOCAL_KEY not in text
    assert ANTHROPIC_KEY not in text


def enforced(guide: Guide) -> None:
    """What the guide's own scripts let through does not pass: no stranger gets a connection."""
    before = len(guide.island.upstream.requests)
    for model in ("openrouter,qwen/qwen3-coder", "anthropic,claude-opus-4-8", "evil,model", "dry-run,dry-run"):
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            status, answer = guide.ask(model, path)
            assert (status, answer["error"]["type"]) == (403, "permission_error"), (model, status, answer)
    assert len(guide.island.upstream.requests) == before
    status, answer = guide.ask("claude-sonnet-4-5")
    assert (status, answer["type"]) == (200, "message"), answer
    assert guide.ask("x", key="a-wrong-key-of-sixteen")[0] == 401


def troubleshooting(guide: Guide) -> None:
    """The errors of the guide's last part, in its words."""
    guide.island.upstream.always(
        json_reply(
            {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}, status=401
        )
    )
    status, answer = guide.ask("claude-sonnet-4-5")
    assert (status, answer["error"]["type"]) == (401, "authentication_error"), answer
    assert answer["error"]["message"].startswith("Invalid API key for provider 'anthropic'"), answer
    assert "ANTHROPIC_API_KEY" in answer["error"]["message"], answer
    text = guide.config.read_text()
    banned = json.loads(text)
    banned["Providers"].append(
        {"name": "openrouter", "api_base_url": "https://openrouter.ai/api/v1/chat/completions",
         "api_key": "${ANTHROPIC_API_KEY}", "models": ["qwen/qwen3-coder"]}
    )  # fmt: skip
    guide.config.write_text(json.dumps(banned))
    verified = guide.npm("router:verify")
    assert (verified.returncode, verified.stdout) == (20, ""), verified
    assert verified.stderr.startswith("Error: BANNED provider: openrouter\n"), verified
    stale = guide.run("ccr", "verify", "--running")
    assert stale.returncode != 0, stale
    assert guide.run("ccr", "restart").returncode == 1
    assert guide.run("ccr", "start").returncode == 1, "a config that breaks the policy must not start"
    guide.config.write_text(text)
    guide.config.unlink()
    missing = guide.npm("router:verify")
    assert missing.returncode == 2
    assert missing.stderr.startswith("Error: Router config missing at ~/.claude-code-router/config.json\n"), missing


def main(folder: Path, claude: str) -> None:
    with Island(folder / "island") as island:
        brain = Brain("anthropic")
        island.upstream.always(brain)
        guide = Guide(folder, claude, island)
        try:
            install_and_verify(guide)
            code(guide)
            ui(guide)
            enforced(guide)
            proven = guide.run("ccr", "audit", "verify")
            assert proven.returncode == 0, proven
            troubleshooting(guide)
        finally:
            guide.run("ccr", "stop")
        assert not any(island.strangers.values()), island.strangers
        assert island.approved > 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
