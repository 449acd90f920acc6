"""Puts a changed configuration in force where a router runs by it."""

from __future__ import annotations

from pathlib import Path

from ccrouter.cli.options import StartOptions, follow, listening_place, load_for_clients
from ccrouter.cli.terminal import note, warn
from ccrouter.errors import ConfigError, RouterError


def apply(path: Path) -> None:
    """After the call a router that runs by the file at `path` works by what it says now, or it was told why not."""
    from ccrouter.service.private import router_folder
    from ccrouter.service.reloading import NotReloaded, ask_to_reload
    from ccrouter.service.running import find_running

    options = StartOptions(config=path)
    try:
        running = find_running(router_folder(), *listening_place(options))
    except RouterError as error:  # somebody else's router: none of ours runs there
        warn(str(error))
        return
    if running is None or not running.is_answering:
        return
    state = running.state
    if state is None or Path(state.config).absolute() != path.absolute():
        note(f"The router on port {running.port} works by another config; it goes on as it was.")
        return
    if state.has_key_option:
        note("The running router was started with --apikey, which is kept nowhere: ccr restart --apikey KEY")
        return
    try:
        config = follow(load_for_clients(options), running)
        notes = ask_to_reload(running.host, running.port, config.api_key)
    except (NotReloaded, ConfigError) as error:
        warn(f"the running router goes on as it was: {error}", "ccr restart")
        return
    note(f"The running router (port {running.port}) works by it now.")
    for line in notes:
        note(line)
