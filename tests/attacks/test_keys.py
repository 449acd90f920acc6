"""Attacks on keys: what is compared and how, keys of launches, and files planted where launches are kept."""

from __future__ import annotations

import ast
import hashlib
import hmac
import inspect
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import ccrouter
from ccrouter import secret
from ccrouter.secret import Secret
from ccrouter.server.guard import Guard
from ccrouter.service.launches import FOLDER, PREFIX, LaunchKeys, minted
from ccrouter.service.process import identify, own_identity
from tests.attacks.world import KEY, config_with, preset_at
from tests.compliance.configs import ENVIRON
from tests.gateway.conftest import running
from tests.server.conftest import call

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes and owners are POSIX's")


# -- by construction ----------------------------------------------------------------------------------------------------


async def test_every_offered_key_is_compared_in_constant_time(approved, stranger, tmp_path, monkeypatch) -> None:
    """K001: however many keys are offered and whichever is right, each goes through `hmac.compare_digest`, whole, with the
    whole of the configured one: nothing ends the comparing early."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one, other):
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    class Spied:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(secret, "hmac", Spied)
    right, wrong, begun = KEY, "x" * len(KEY), KEY[:-1] + "x"
    ways = [
        ({"x-api-key": right, "authorization": f"Bearer {wrong}"}, [right, wrong], True),
        ({"x-api-key": wrong, "authorization": f"Bearer {right}"}, [wrong, right], True),
        ({"x-api-key": begun, "authorization": f"Bearer {wrong}"}, [begun, wrong], False),
        ({"x-api-key": "", "authorization": right}, [right], True),
        ({"x-api-key": "k\u00e9y"}, ["k\u00e9y"], False),
        ({"x-api-key": "x" * 5000}, ["x" * 5000], False),
    ]
    async with running(config_with(approved, stranger), tmp_path, ENVIRON, policy=preset_at(approved)) as router:
        for headers, offered, is_in in ways:
            compared.clear()
            answer = await call(router.app, "GET", "/v1/models", headers)
            assert (answer.status == 200) == is_in
            assert compared == [(KEY.encode(), key.encode()) for key in offered]


def test_the_comparison_is_nowhere_else() -> None:
    """K002: the text of a secret is compared by `Secret.matches` alone, which calls `hmac.compare_digest` and nothing that
    could end sooner; the guard collects every answer before it looks at one."""
    body = ast.parse(textwrap.dedent(inspect.getsource(Secret.matches))).body[0]
    calls = [ast.unparse(node.func) for node in ast.walk(body) if isinstance(node, ast.Call)]
    assert "hmac.compare_digest" in calls
    assert not [
        node for node in ast.walk(body) if isinstance(node, (ast.If, ast.Compare, ast.BoolOp, ast.For, ast.While))
    ]
    assert "__eq__" not in Secret.__dict__
    for function in (Guard._shows_key, Guard._is_known):
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"any", "all"}:
                assert isinstance(node.args[0], ast.ListComp), "a generator would end at the first match"
    for path in Path(ccrouter.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and any(
                isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)) for op in node.ops
            ):
                sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
                assert not any(side.endswith(".reveal()") for side in sides), f"{path}: {ast.unparse(node)}"


# -- keys of launches ---------------------------------------------------------------------------------------------------


def test_a_launch_that_ended(tmp_path: Path) -> None:
    """K010: the key of a launch is worth nothing after it, to a router that never saw it before."""
    with minted(tmp_path) as key:
        assert LaunchKeys(tmp_path).admits(key)
    assert not LaunchKeys(tmp_path).admits(key)


def test_a_launch_that_was_killed(tmp_path: Path) -> None:
    """K011: nor after its process was killed without a word, though its file is still there."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom ccrouter.service.launches import minted\n"
        "with minted(Path(sys.argv[1])) as key:\n    print(key, flush=True)\n    sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        key = child.stdout.readline().strip()
        assert LaunchKeys(tmp_path).admits(key)
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    assert list((tmp_path / FOLDER).iterdir())
    assert not LaunchKeys(tmp_path).admits(key)


@pytest.mark.parametrize(
    "guess",
    ["", PREFIX, PREFIX + "x", PREFIX + "/../x", PREFIX + "\x00", PREFIX + "\ud800", "../" + PREFIX, PREFIX + "A" * 43],
)
def test_guesses(guess: str, tmp_path: Path) -> None:
    """K012: what was not minted is not admitted, whatever stands in it."""
    with minted(tmp_path) as key:
        keys = LaunchKeys(tmp_path)
        assert not keys.admits(guess)
        assert not keys.admits(key[:-1])
        assert not keys.admits(key + " ")
        assert not keys.admits(key.upper())
        assert not keys.admits(hashlib.sha256(key.encode()).hexdigest())
        assert keys.admits(key)


def _plant(folder: Path, key: str, told: object, mode: int = 0o600) -> Path:
    launches = folder / FOLDER
    launches.mkdir(mode=0o700, exist_ok=True)
    path = launches / hashlib.sha256(key.encode()).hexdigest()
    path.write_text(told if isinstance(told, str) else json.dumps(told))
    path.chmod(mode)
    return path


MINE = PREFIX + "of-the-attacker"
OWN = {"pid": own_identity().pid, "started": own_identity().started}


@pytest.mark.parametrize(
    "told",
    [
        {"pid": OWN["pid"], "started": ""},
        {"pid": OWN["pid"], "started": "0"},
        {"pid": OWN["pid"]},
        {"pid": os.getppid(), "started": OWN["started"]},
        {"pid": 1, "started": OWN["started"]},
        {"pid": 0, "started": OWN["started"]},
        {"pid": -1, "started": ""},
        {"pid": 2**40, "started": ""},
        {"pid": "self", "started": OWN["started"]},
        {"pid": None, "started": None},
        [],
        "null",
        "",
        "{",
        '{"pid": ' + "9" * 5000 + ', "started": ""}',
    ],
)
def test_planted_files(told: object, tmp_path: Path) -> None:
    """K020: a file that does not name a living process by number and start admits nobody."""
    _plant(tmp_path, MINE, told)
    assert not LaunchKeys(tmp_path).admits(MINE)


@POSIX
@pytest.mark.parametrize("what", ["file", "folder", "group"])
def test_planted_by_others(what: str, tmp_path: Path) -> None:
    """K021: nor does a file that others could have written, or in a folder that they could write to."""
    path = _plant(tmp_path, MINE, OWN, 0o620 if what == "group" else 0o600)
    if what == "file":
        path.chmod(0o666)
    if what == "folder":
        path.parent.chmod(0o777)
    assert not LaunchKeys(tmp_path).admits(MINE)


@POSIX
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_owned_by_others(what: str, tmp_path: Path) -> None:
    """K022: nor one that belongs to somebody else."""
    path = _plant(tmp_path, MINE, OWN)
    os.chown(path if what == "file" else path.parent, 65534, 65534)
    assert not LaunchKeys(tmp_path).admits(MINE)


@POSIX
@pytest.mark.parametrize("what", ["file", "folder", "to a launch"])
def test_links(what: str, tmp_path: Path) -> None:
    """K023: a symbolic link among the launches, or in their place, counts for nothing."""
    with minted(tmp_path) as key:
        launches = tmp_path / FOLDER
        digest = hashlib.sha256(MINE.encode()).hexdigest()
        outside = tmp_path / "outside"
        outside.mkdir(mode=0o700)
        (outside / digest).write_text(json.dumps(OWN))
        (outside / digest).chmod(0o600)
        if what == "file":
            (launches / digest).symlink_to(outside / digest)
        elif what == "to a launch":
            (launches / digest).symlink_to(hashlib.sha256(key.encode()).hexdigest())
        else:
            launches.rename(tmp_path / "away")
            launches.symlink_to(outside)
        assert not LaunchKeys(tmp_path).admits(MINE)


async def test_launch_keys_over_the_network(approved, stranger, tmp_path) -> None:
    """K030: a living launch's key is for clients on this machine: not from elsewhere, not for management, not passed on,
    not under another name; and to no more models than any other."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with minted(home) as key:
        keys = LaunchKeys(home, clock=lambda: 0.0)
        config, policy = config_with(approved, stranger), preset_at(approved)
        async with running(config, tmp_path, ENVIRON, policy=policy, is_launch_key=keys.admits) as router:
            sent = {"x-api-key": key, "content-type": "application/json"}
            assert (await call(router.app, "GET", "/v1/models", sent)).status == 200
            for more, peer in (
                ({}, "192.0.2.7"),
                ({}, "::ffff:192.0.2.7"),
                ({}, None),
                ({"x-forwarded-for": "127.0.0.1"}, "127.0.0.1"),
                ({"host": "evil.example"}, "127.0.0.1"),
            ):
                assert (await call(router.app, "GET", "/v1/models", {**sent, **more}, peer=peer)).status == 401
            for method, path in (
                ("GET", "/api/config"),
                ("POST", "/api/config"),
                ("POST", "/api/restart"),
                ("GET", "/api/policy"),
                ("GET", "/providers"),
            ):
                assert (await call(router.app, method, path, sent, b"{}")).status == 401
            status, _, raw = await router.ask({"x-api-key": key}, model="openrouter,gpt-5")
            assert (status, json.loads(raw)["error"]["type"]) == (403, "permission_error")
    assert not LaunchKeys(home).admits(key)
    assert approved.connections == 0


def test_identity_of_nobody() -> None:
    """K031: a process that is not there has no identity."""
    assert identify(2**22 + 7) is None
