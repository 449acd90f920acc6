"""Finding and loading the configuration, beyond what the golden cases show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ccrouter.config.load import Overrides, find_config, load, router_folder
from ccrouter.config.schema import DRY_RUN, ModelRef
from ccrouter.errors import ConfigError

HOME = {"HOME": "/home/me"}

SECRETS = {
    "LOCAL_KEY": "local-key-of-the-router",
    "P_KEY": "provider-key-from-the-environment",
    "H_KEY": "header-value-from-the-environment",
    "X_KEY": "extra-value-from-the-environment",
    "PROXY_KEY": "proxy-password-from-the-environment",
}
WITH_SECRETS = {
    "APIKEY": "${LOCAL_KEY}",
    "PROXY_URL": "http://me:${PROXY_KEY}@proxy.example:3128",
    "Providers": [
        {
            "name": "p",
            "api_base_url": "https://me:literal-password@p.example/v1?key=${P_KEY}",
            "api_key": "$P_KEY",
            "models": ["m"],
            "headers": {"Authorization": "Bearer $H_KEY", "X-Token": "literal-header-token"},
            "extra_body": {"secret": "$X_KEY"},
            "transformer": {"use": [["customparams", {"token": "$X_KEY"}]]},
        },
        {"name": "q", "api_base_url": "https://q.example/v1", "api_key": "literal-key-in-the-file"},
        {"name": "r", "api_base_url": "https://r.example/v1", "api_key": "${UNSET:-literal-default-key}"},
    ],
    "Router": {"default": "p,m"},
    "StatusLine": {"text": "sk-or-v1-literal-in-an-odd-place-0123456789"},
}
LITERALS = (
    "literal-password",
    "literal-header-token",
    "literal-key-in-the-file",
    "literal-default-key",
    "literal-in-an-odd",
)


def write(folder: Path, tree: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("explicit", "environ", "expected"),
    [
        (None, HOME, "/home/me/.claude-code-router/config.json"),
        (None, {"USERPROFILE": "/users/me"}, "/users/me/.claude-code-router/config.json"),
        (None, {**HOME, "CONFIG_PATH": "/c.json"}, "/c.json"),
        (None, {**HOME, "CONFIG_PATH": "/c.json", "CCR_CONFIG": "~/ccr.json"}, "/home/me/ccr.json"),
        (None, {**HOME, "CCR_CONFIG": ""}, "/home/me/.claude-code-router/config.json"),
        (Path("x.json"), {**HOME, "CCR_CONFIG": "/c.json"}, "x.json"),
    ],
)
def test_find_config(explicit, environ, expected):
    """The command line names the file, else the environment, else it is in the home folder that the environment names."""
    assert find_config(explicit, environ) == Path(expected)


def test_no_home_in_the_environment():
    """Without a home in the environment the operating system's is taken: no crash on a bare service."""
    assert router_folder({}) == Path.home() / ".claude-code-router"


def test_without_a_file_the_defaults_run():
    """No file at all is the built-in provider on the usual port."""
    config = load(None, {})
    assert (config.host, config.port, config.path) == ("127.0.0.1", 3456, None)
    assert config.router.routes["default"] == ModelRef(DRY_RUN, DRY_RUN)
    assert [provider.name for provider in config.providers] == [DRY_RUN]
    assert config.providers[0].endpoints[0].url == "dry-run:"


def test_the_dry_run_is_listed_beside_real_providers_and_not_chosen(tmp_path):
    """With a real provider the built-in one can still be named; no route leads to it."""
    config = load(write(tmp_path, WITH_SECRETS), SECRETS)
    assert [provider.name for provider in config.providers] == ["p", "q", "r", DRY_RUN]
    assert {target.provider for target in config.router.routes.values()} == {"p"}


def test_values_arrive(tmp_path):
    """Secrets can be revealed where they are needed, and all values are plain texts, which JSON encoders ask for."""
    config = load(write(tmp_path, WITH_SECRETS), SECRETS)
    provider = config.providers[0]
    assert provider.key is not None
    assert provider.key.reveal() == SECRETS["P_KEY"]
    assert (provider.key_source, config.providers[1].key_source) == ("${P_KEY}", "the config file")
    assert provider.headers["Authorization"] == f"Bearer {SECRETS['H_KEY']}"
    assert provider.extra_body == {"secret": SECRETS["X_KEY"]}
    assert provider.proxy == f"http://me:{SECRETS['PROXY_KEY']}@proxy.example:3128"
    assert config.api_key is not None
    assert config.api_key.matches(SECRETS["LOCAL_KEY"])
    assert {type(text) for text in (*provider.headers.values(), provider.extra_body["secret"], provider.proxy)} == {str}
    assert type(provider.endpoints[0].url) is str
    assert type(provider.transforms[0].options["token"]) is str


def test_no_secret_is_in_any_text(tmp_path):
    """Neither the repr of a configuration nor what is kept of the file shows a secret, wherever it was written."""
    config = load(write(tmp_path, WITH_SECRETS), SECRETS)
    shown = repr(config) + json.dumps(config.raw) + "".join(map(str, config.warnings))
    for secret in (*SECRETS.values(), *LITERALS):
        assert secret not in shown
    assert config.raw["Providers"][0]["api_key"] == "$P_KEY"
    assert config.raw["Providers"][1]["api_key"] == "***"


def test_no_secret_is_in_any_problem(tmp_path):
    """Problems with values quote what was written, not what it means, and nothing that has the shape of a key."""
    tree = {
        "PORT": "$P_KEY",
        "LOG_LEVEL": "sk-or-v1-0123456789abcdef0123456789",
        "HOST": "${H_KEY}/",
        "Providers": [
            {"name": "p", "api_base_url": "$X_KEY", "api_key": "$P_KEY with a blank", "proxy": "socks://$PROXY_KEY"},
            {"name": "q", "api_base_url": "literal-password", "api_key": ["literal-key-in-the-file"]},
            {"name": "r", "api_base_url": "http://localhost:1/v1", "api_key": "$P_KEY"},
        ],
        "Router": {"default": "$P_KEY,x", "think": "r,$P_KEY"},
    }
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, tree), SECRETS)
    told = str(caught.value)
    assert told.count("config.json") >= 8
    for secret in (*SECRETS.values(), *LITERALS, "0123456789abcdef"):
        assert secret not in told


def test_nothing_is_written_at_load(tmp_path):
    """Loading leaves the folder as it was."""
    path = write(tmp_path, WITH_SECRETS)
    before = path.read_bytes()
    load(path, SECRETS)
    assert [child.name for child in tmp_path.iterdir()] == ["config.json"]
    assert path.read_bytes() == before


def test_a_port_of_zero_is_for_the_command_line(tmp_path):
    """`--port 0` asks for any free port."""
    assert load(write(tmp_path, {}), {}, overrides=Overrides(port=0)).port == 0


def test_warnings_come_in_file_order(tmp_path):
    """Warnings stand in the order of the file, not in that in which it is read."""
    config = load(write(tmp_path, {"zzz": 1, "Providers": [], "aaa": 2}), {})
    assert [warning.path for warning in config.warnings] == ["zzz", "Providers", "aaa"]


def test_importing_does_nothing():
    """To import the package opens no file beyond modules, and needs neither the JSON5 parser nor an HTTP library."""
    code = (
        "import sys, ccrouter.config.load, ccrouter.config.projects\n"
        "print(sorted(set(sys.modules) & {'json5', 'aiohttp', 'http.client', 'urllib.request', 'asyncio', 'jsonschema'}))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_secrets_are_all_there(tmp_path):
    """What must not be repeated is known wherever it was written: keys, headers, proxies and queries."""
    tree = {
        "APIKEY": "router-key",
        "PROXY_URL": "http://me:pro%40xy-password@proxy.example:3128",
        "Providers": [
            {
                "name": "p",
                "api_base_url": "https://me:url-password@p.example/v1?API_KEY=query-key&token=a%2Fb-token&version=public-1",
                "api_key": "provider-key",
                "headers": {
                    "Authorization": "Bearer header-bearer",
                    "X-Api-KEY": "header-key",
                    "my-token": "header-token",
                    "x-secret-1": "header-secret",
                    "Cookie": "a=header-cookie",
                    "x-title": "public-title",
                },
            }
        ],
        "Router": {"default": "p,m"},
    }
    revealed = {secret.reveal() for secret in load(write(tmp_path, tree), {}).secrets}
    assert revealed == {
        "router-key",
        "provider-key",
        "Bearer header-bearer",
        "header-bearer",
        "header-key",
        "header-token",
        "header-secret",
        "a=header-cookie",
        "pro%40xy-password",
        "pro@xy-password",
        "url-password",
        "query-key",
        "a%2Fb-token",
        "a/b-token",
    }
