"""`ccr ui`: the way to the router's pages. Writes nothing into the configuration, and no key into an address."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import click

from ccrouter.cli.options import StartOptions, create_starter_config, follow, load_for_clients
from ccrouter.cli.readiness import ensure_running
from ccrouter.cli.terminal import fail, note, say


@click.command()
@click.option("--no-open", "is_quiet", is_flag=True, help="Print the address, and open no browser.")
def command(*, is_quiet: bool) -> int:
    """Open the web interface in a browser, starting the router if it does not run.

    Where there is no browser (no display, SSH, a CI job, CCR_NO_BROWSER=1) the address is printed alone. Exit code 0
    either way, 1 if there is no router to show.
    """
    from ccrouter.loopback import is_loopback
    from ccrouter.service.address import base_url, reachable_host

    create_starter_config()
    config = load_for_clients(StartOptions())  # what the start itself lacks, the start tells
    _, running = ensure_running(config)
    if running is None:
        return 1
    if not is_loopback(reachable_host(running.host)):
        fail(
            f"the router listens on {running.host} alone, and its pages are for this machine",
            "listen on 127.0.0.1, or on every address (`HOST` in the config)",
        )
        return 1
    has_key_option = running.state is not None and running.state.has_key_option
    has_key = has_key_option or follow(config, running).api_key is not None
    url = f"{base_url(running.host, running.port)}/ui/"
    say(f"Opening UI at {url}")
    if has_key:
        note("Sign in there with the router's key: " + ("that of its --apikey." if has_key_option else "APIKEY."))
    if is_quiet or not has_browser(os.environ, sys.platform) or not _open(url):
        note("No browser was opened: open that address in one on this machine.")
        if is_remote(os.environ):
            note(f"From the machine that you sit at: ssh -L {running.port}:127.0.0.1:{running.port} HOST, and the same")
    return 0


def has_browser(environ: Mapping[str, str], platform: str) -> bool:
    """True if somebody can be expected to see a browser that is started here."""
    if environ.get("CCR_NO_BROWSER", "0") not in {"", "0"} or environ.get("CI"):
        return False
    if environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        return True
    return platform in {"darwin", "win32"} and not is_remote(environ)


def is_remote(environ: Mapping[str, str]) -> bool:
    """True in a session by SSH."""
    return any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))


def _open(url: str) -> bool:
    import webbrowser

    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
