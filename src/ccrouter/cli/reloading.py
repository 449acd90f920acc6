"""A running router told to read its files again, after a command has changed them."""

from __future__ import annotations

import http.client
import json

from ccrouter.cli.options import StartOptions, listening_place, load_for_clients
from ccrouter.cli.terminal import note, say
from ccrouter.errors import ConfigError

_TIMEOUT = 15.0  # seconds
_LARGEST = 64 * 1024  # bytes


def reload_running() -> bool:
    """True if a router of this user runs and now serves by what the files say; the user is told how it went. False and
    silent if none runs.
    """
    from ccrouter.service.address import reachable_host
    from ccrouter.service.launches import minted
    from ccrouter.service.private import router_folder
    from ccrouter.service.running import find_running

    folder = router_folder()
    running = find_running(folder, *listening_place(StartOptions()))
    if running is None:
        return False
    try:
        key = load_for_clients(StartOptions()).api_key
    except ConfigError:  # the router itself says what is wrong with the file, below
        key = None
    with minted(folder) as launch_key:
        headers = {
            "content-type": "application/json",
            "x-api-key": key.reveal() if key else launch_key,
            "connection": "close",
        }
        connection = http.client.HTTPConnection(reachable_host(running.host), running.port, timeout=_TIMEOUT)
        try:
            connection.request("POST", "/api/restart", body="{}", headers=headers)
            answer = connection.getresponse()
            status, body = answer.status, answer.read(_LARGEST)
        except (http.client.HTTPException, OSError) as error:
            note(f"the running router does not answer ({error}); `ccr restart` makes it read the files")
            return False
        finally:
            connection.close()
    if status == 200:
        say("The running router has read it.")
        return True
    note(f"the running router goes on as it was: {_words(body) or f'it answered {status}'}")
    return False


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""
