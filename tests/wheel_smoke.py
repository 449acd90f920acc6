"""Install the built wheel into an empty environment and use it as a newcomer would: `python tests/wheel_smoke.py DIST`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path


def main(dist: str) -> None:
    (wheel,) = Path(dist).glob("ccrouter-*.whl")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch, "home")
        home.mkdir()
        venv.create(Path(scratch, "env"), with_pip=True)
        scripts = Path(scratch, "env", "Scripts" if os.name == "nt" else "bin")
        lock = Path(__file__).parent.parent / "requirements" / "run.lock"
        pip = [scripts / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
        subprocess.run([*pip, "--no-deps", wheel], check=True)
        environ = {"PATH": os.environ["PATH"], "HOME": str(home), "USERPROFILE": str(home)}
        version = subprocess.run([scripts / "ccr", "-v"], check=True, capture_output=True, text=True, env=environ)
        assert any(part[0].isdigit() for part in version.stdout.split()), version.stdout
        assert not list(home.iterdir()), "`ccr -v` wrote to the home directory"
        answer(scripts, environ)
    print("the wheel works: installed into an empty environment, started, answered a streamed message")


def answer(scripts: Path, environ: dict[str, str]) -> None:
    """Start the installed router on its embedded defaults and ask it for a streamed message."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [scripts / "ccr", "start", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as router:
        try:
            assert router.stdout is not None
            first = router.stdout.readline()
            assert first.startswith("Loaded JSON config from:"), first
            for line in router.stdout:  # the banner comes once the router answers
                if "/v1/messages" in line or "curl" in line:
                    break
            body = {"model": "x", "max_tokens": 64, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/messages",
                json.dumps(body).encode(),
                {"content-type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=30) as response:
                text = response.read().decode()
            assert "event: message_stop" in text, text
            for path in ("/ui/", "/ui/static/style.css"):  # files that are not modules are in the wheel too
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
                    assert response.status == 200, path
        finally:
            router.terminate()
        assert router.wait(timeout=15) == 0


if __name__ == "__main__":
    main(sys.argv[1])
