"""A router that answers, for commands that need one: what runs already, else a new one in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccrouter.cli.terminal import fail, note, warn

if TYPE_CHECKING:
    from ccrouter.config.schema import Config
    from ccrouter.service.running import Running


def ensure_running(config: Config) -> tuple[bool, Running | None]:
    """The router, started if there was none; None, and said why, if there is none to use.

    True with it if it looks for the keys of launches in this folder: it was recorded there, or has just been started.
    """
    from ccrouter.service.launch import StartFailed, launch
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import Running, find_running

    folder = router_folder()
    running = find_running(folder, config.host, config.port)
    if running and running.is_answering:
        return bool(running.state and running.state.takes_launch_keys), running
    if running:
        fail(f"the router (process {running.pid}) does not answer on port {running.port}", "ccr restart")
        return False, None
    note("Service not running, starting service...")
    for problem in config.warnings:  # the service in the background has nobody to tell
        warn(str(problem))
    try:
        launch([], host=config.host, port=config.port, folder=folder)
    except StartFailed as error:
        fail(f"the service did not start:\n{error}", "`ccr start` runs it in this terminal")
        return False, None
    return True, Running(config.host, config.port, None, "")
