"""What was taken from others is there as they made it, with their licence."""

from __future__ import annotations

import hashlib
from importlib.resources import files

#: SHA-256 of the files of the release uPlot 1.6.32 in the npm registry.
UPLOT = {
    "uplot-1.6.32.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot-1.6.32.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uplot-LICENSE.txt": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


def test_nobody_has_changed_what_was_taken():
    """Every file of the folder is one of the release, byte for byte."""
    folder = files("ccrouter.web").joinpath("static", "vendor")
    found = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.iterdir()}
    assert found == UPLOT
