"""`ccr restart`: end what runs, start in the background with the same options, and say success only of what answers."""

from __future__ import annotations

from typing import Any

import click

from ccrouter.cli.acceptance import accept
from ccrouter.cli.options import StartOptions, listening_place, start_options
from ccrouter.cli.terminal import fail, say, warn
from ccrouter.cli.workers import workers_option


@click.command()
@start_options
@workers_option
def command(**given: Any) -> int:
    """Stop the router and start it in the background.

    The options of the running one are kept; those given here go before them.
    """
    from ccrouter.cli.stop import stop_all
    from ccrouter.service.launch import StartFailed, launch
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import find_running

    options = StartOptions(**given)
    folder = router_folder()
    running = find_running(folder, *listening_place(options))
    state = running.state if running else None
    if running is not None and state is None:
        fail(
            f"a router answers on port {running.port} (process {running.pid or 'unknown'}), but left no record here",
            f"end it with `kill {running.pid}`, then start anew" if running.pid else "end it where it was started",
        )
        return 1
    if state is not None:
        if state.has_key_option and not options.apikey:
            fail("the running router was started with --apikey, which is not kept on disk", "ccr restart --apikey KEY")
            return 1
        options = options.completed_from(state.options)
    accepted = accept(options, create=True)  # before anything stops: what cannot start, or is not allowed, ends nothing
    config = accepted.config
    for problem in accepted.warnings:
        warn(str(problem))
    stopped = stop_all(folder, state.port) if state is not None else []
    say("claude code router service has been stopped." if stopped else "Service was not running or failed to stop.")
    say("Starting claude code router service...")
    try:
        launch(options.arguments(), host=config.host, port=config.port, folder=folder)
    except StartFailed as error:
        fail(f"the service did not start:\n{error}")
        return 1
    say("✅ Service started successfully in the background.")
    return 0
