"""Sockets that somebody else opened: which are taken, and which addresses are allowed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ccrouter.compliance.policy import NO_POLICY, Policy
from ccrouter.config.schema import Config
from ccrouter.errors import ConfigError
from ccrouter.secret import Secret
from ccrouter.server.activation import listening_at, take_sockets
from tests.server.conftest import KEY

OPEN = Config(api_key=Secret(KEY))


def test_whose_they_are():
    """Sockets of another process are none of ours; the variables are gone whichever."""
    for environ in ({}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"}):
        given = {**environ, "LISTEN_FDNAMES": "a", "HOME": "/"}
        assert take_sockets(given) == []
        assert given == {"HOME": "/"}


def test_where_we_are():
    """The process is where its sockets are, whatever the config says; of several, at the one that others can reach."""
    config = listening_at([("127.0.0.1", 4000), ("::1", 4000)], Config(host="127.0.0.1", port=3456), NO_POLICY)
    assert (config.host, config.port) == ("127.0.0.1", 4000)
    config = listening_at([("127.0.0.1", 4000), ("192.0.2.7", 5000)], OPEN, NO_POLICY)
    assert (config.host, config.port) == ("192.0.2.7", 5000)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_an_address_that_others_reach(host):
    """It needs a key, as HOST does, also beside one on loopback; and a policy that wants loopback alone forbids it."""
    places = [("127.0.0.1", 4000), (host, 4000)]
    with pytest.raises(ConfigError, match="no APIKEY"):
        listening_at(places, Config(), NO_POLICY)
    assert listening_at(places, OPEN, NO_POLICY).host == host
    with pytest.raises(ConfigError, match="loopbackOnly"):
        listening_at(places, OPEN, Policy(name="s", source="s", loopback_only=True))


def test_more_than_there_are():
    """A number of sockets beyond all measure is refused as any that is too large, and costs nothing."""
    words = "import os; from ccrouter.server.activation import take_sockets as take; "
    words += "take({'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '99999999999999'})"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=30, check=False)
    assert "descriptor 3: is no socket" in done.stderr
