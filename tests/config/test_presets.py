"""Presets: manifests read, asked, filled; a configuration made into one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccrouter.config.preset_export import export
from ccrouter.config.presets import (
    configuration,
    find_preset,
    installed,
    is_name,
    launch_settings,
    read_configuration,
    read_preset,
)
from ccrouter.config.syntax import parse
from ccrouter.errors import ConfigError
from ccrouter.secret import Secret

PROVIDER = {
    "name": "acme",
    "api_base_url": "https://api.acme.test/v1/chat/completions",
    "api_key": "#{apiKey}",
    "models": ["m1", "m2"],
}
MANIFEST = {
    "name": "Acme Fast",
    "version": "1.2.0",
    "Providers": [PROVIDER],
    "Router": {"default": "acme,#{model}"},
    "schema": [
        {"id": "apiKey", "type": "password", "label": "Key"},
        {
            "id": "model",
            "type": "select",
            "options": {"type": "static", "options": [{"value": "m1"}, {"value": "m2"}]},
            "defaultValue": "m1",
        },
        {"id": "proxied", "type": "confirm", "required": False},
        {"id": "proxy", "when": {"field": "proxied", "operator": "eq", "value": True}},
    ],
    "configMappings": [
        {"target": "Providers[0].proxy", "value": "#{proxy}", "when": {"field": "proxied", "value": True}},
    ],
    "claudeCodeSettings": {"env": {"LEVEL": "#{model}"}},
}


def put(home: Path, name: str, manifest: object) -> Path:
    folder = home / ".claude-code-router" / "presets" / name
    folder.mkdir(parents=True)
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    (folder / "manifest.json").write_text(text)
    return folder


def answered(**values: object) -> dict[str, object]:
    return {**MANIFEST, "userValues": values}


def test_a_preset_is_a_configuration(tmp_path: Path):
    """Answers stand where they are asked for, in variables too, and metadata is no part of the configuration."""
    folder = put(tmp_path, "acme", answered(apiKey="${ACME_KEY}", model="m2"))
    reading = read_configuration(read_preset(folder), {"HOME": str(tmp_path), "ACME_KEY": "sk-123"})
    assert not reading.problems
    acme = reading.config.providers[0]
    assert acme.key is not None
    assert acme.key.reveal() == "sk-123"
    assert str(reading.config.router.routes["default"]) == "acme,m2"
    assert not reading.config.warnings
    assert launch_settings(read_preset(folder)) == {"env": {"LEVEL": "m2"}}


def test_defaults_are_answers(tmp_path: Path):
    """A question with a default need not be answered."""
    tree = configuration(read_preset(put(tmp_path, "acme", answered(apiKey="k"))))
    assert tree["Router"] == {"default": "acme,m1"}
    assert "proxy" not in tree["Providers"][0]


def test_a_mapping_with_a_condition(tmp_path: Path):
    """What is mapped comes in only if its condition holds, and its question is required only then."""
    preset = read_preset(put(tmp_path, "acme", answered(apiKey="k", proxied=True, proxy="http://p:1")))
    assert configuration(preset)["Providers"][0]["proxy"] == "http://p:1"
    missing = read_preset(put(tmp_path, "other", answered(apiKey="k", proxied=True)))
    assert [one.id for one in missing.unanswered()] == ["proxy"]


def test_a_question_without_an_answer(tmp_path: Path):
    """Is told with the file, its name and the command that answers it; nothing is made up."""
    with pytest.raises(ConfigError) as refused:
        read_configuration(read_preset(put(tmp_path, "acme", MANIFEST)), {})
    (problem,) = refused.value.problems
    assert problem.path == "userValues.apiKey"
    assert problem.hint == "ccr preset configure acme --set apiKey=..."


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("x", "schema"),
        ([{"type": "input"}], "schema[0]"),
        ([{"id": "a", "type": "inptu"}], "schema[0].type"),
        ([{"id": "a", "validator": "("}], "schema[0].validator"),
    ],
)
def test_a_schema_that_is_none(schema: object, path: str, tmp_path: Path):
    """Is refused by its path."""
    preset = read_preset(put(tmp_path, "acme", {**MANIFEST, "schema": schema}))
    with pytest.raises(ConfigError) as refused:
        _ = preset.inputs
    assert [problem.path for problem in refused.value.problems] == [path]


@pytest.mark.parametrize("target", ["Providers[7].x", "Router[0]", "", "Providers.name"])
def test_a_mapping_that_leads_nowhere(target: str, tmp_path: Path):
    """Is refused: an answer that has no place would be lost."""
    manifest = {**answered(apiKey="k"), "configMappings": [{"target": target, "value": "v"}]}
    with pytest.raises(ConfigError, match=r"configMappings\[0\]"):
        configuration(read_preset(put(tmp_path, "acme", manifest)))


def test_found_by_folder_and_by_title(tmp_path: Path):
    """The folder's name comes first; a manifest's own name is found too, and a broken neighbour hides nothing."""
    environ = {"HOME": str(tmp_path)}
    put(tmp_path, "aaa-broken", "{")
    put(tmp_path, "acme", {**MANIFEST, "name": "fast"})
    assert [folder.name for folder in installed(environ)] == ["aaa-broken", "acme"]
    for name in ("acme", "fast"):
        preset = find_preset(name, environ)
        assert preset is not None
        assert preset.name == "acme"
    assert find_preset("none", environ) is None


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a\\b", "", ".hidden", "a..b", "x" * 65, "é"])
def test_names_that_could_lead_elsewhere(name: str, tmp_path: Path):
    """Are no names, wherever they come from."""
    assert not is_name(name)
    assert find_preset(name, {"HOME": str(tmp_path)}) is None


def test_answers_are_read_by_their_kind(tmp_path: Path):
    """A number is a number within its limits, yes is true, a choice is one of the choices."""
    schema = [
        {"id": "n", "type": "number", "min": 1, "max": 9},
        {"id": "c", "type": "confirm"},
        {"id": "s", "type": "select", "options": ["a", "b"]},
        {"id": "m", "type": "multiselect", "options": ["a", "b", "c"]},
        {"id": "v", "validator": "[a-z]+"},
    ]
    inputs = {one.id: one for one in read_preset(put(tmp_path, "p", {"schema": schema})).inputs}
    assert inputs["n"].read("3") == 3
    assert inputs["c"].read("Yes") is True
    assert inputs["s"].read("b") == "b"
    assert inputs["m"].read("a, c") == ["a", "c"]
    assert inputs["v"].read("abc") == "abc"
    for asked, text in (("n", "10"), ("n", "x"), ("c", "maybe"), ("s", "z"), ("m", "a,z"), ("v", "ABC")):
        with pytest.raises(ValueError, match=r"must|answer"):
            inputs[asked].read(text)


SOURCE = """{
  // a comment
  "Providers": [
    {"name": "a", "api_base_url": "https://a.test/v1/chat/completions", "api_key": "${A_KEY}", "models": ["m"]},
    {"name": "b", "api_base_url": "https://user:hunter2@b.test/v1/chat/completions", "api_key": "plain word",
     "headers": {"X-Whatever": "plain word"}, "extra_body": {"apiToken": "tok-1"}},
  ],
  "Router": {"default": "a,m"},
  "APIKEY": "mine", "PORT": 4000,
}"""


def test_export_by_provenance():
    """Variables stay; what stands in a key's place is a question wherever it is repeated, whatever form it has; what is
    this machine's own is left out, and told.
    """
    made = export(parse(SOURCE, "c").tree, [Secret("plain word")], {"name": "p"})
    text = json.dumps(made.manifest)
    for secret in ("plain word", "hunter2", "tok-1", "mine"):
        assert secret not in text
    first, second = made.manifest["Providers"]
    assert first["api_key"] == "${A_KEY}"
    assert second["api_key"] == second["headers"]["X-Whatever"] == "#{b_api_key}"
    assert {one["id"] for one in made.manifest["schema"]} == {"b_api_base_url", "b_api_key", "extra_body_apitoken"}
    assert set(made.left_out) == {"APIKEY", "PORT"}


def test_an_exported_preset_can_be_used(tmp_path: Path):
    """What was exported, with its questions answered, is the configuration that it was made of."""
    made = export(parse(SOURCE, "c").tree, [Secret("plain word")], {"name": "p"})
    answers = {
        "b_api_base_url": "https://b.test/v1/chat/completions",
        "b_api_key": "k",
        "extra_body_apitoken": "t",
    }
    folder = put(tmp_path, "p", {**made.manifest, "userValues": answers})
    reading = read_configuration(read_preset(folder), {"A_KEY": "ka"})
    assert not reading.problems
    keys = {provider.name: provider.key.reveal() for provider in reading.config.providers if provider.key}
    assert keys == {"a": "ka", "b": "k"}


def test_export_with_secrets():
    """Only on request, and then as they are."""
    made = export(parse(SOURCE, "c").tree, [], {"name": "p"}, with_secrets=True)
    assert made.manifest["Providers"][1]["api_key"] == "plain word"
    assert not made.asked


def test_half_a_character_breaks_nothing(tmp_path):
    """Half a surrogate pair, as editors cut emojis, does not break the making of the configuration."""
    manifest = {"Providers": [{**PROVIDER, "api_key": "k#{a}"}], "userValues": {"a": ["\ud83d"]}, "x": "\ud83d"}
    preset = read_preset(put(tmp_path, "half", manifest))
    reading = read_configuration(preset, {"HOME": str(tmp_path)})
    assert reading.config.providers[0].name == "acme"


def test_a_word_for_a_key_is_no_secret_elsewhere():
    """What people write where a local server wants no key stays a name everywhere else."""
    tree = {
        "Providers": [
            {"name": "ollama", "api_base_url": "http://ollama:11434/v1", "api_key": "ollama", "models": ["x"]}
        ],
        "Router": {"default": "ollama,x"},
    }
    made = export(tree, [Secret("ollama")], {"name": "p"})
    assert made.manifest["Router"] == tree["Router"]
    (provider,) = made.manifest["Providers"]
    assert (provider["name"], provider["api_base_url"]) == ("ollama", "http://ollama:11434/v1")


@pytest.mark.parametrize(("written", "more"), [
    ("$#{a}", {"a": "{SECRET_OF_MINE}"}),
    ("${#{a}}", {"a": "SECRET_OF_MINE"}),
    ("#{a}#{b}", {"a": "$SECRET", "b": "_OF_MINE"}),
])  # fmt: skip
def test_no_variable_but_those_that_are_named(written: str, more: dict, tmp_path: Path):
    """A variable's name that is only put together from pieces is refused: nobody was told of it."""
    schema = [{"id": key, "defaultValue": value} for key, value in more.items()]
    manifest = {"Providers": [{**PROVIDER, "api_key": written}], "schema": schema}
    with pytest.raises(ConfigError, match="SECRET_OF_MINE"):
        read_configuration(read_preset(put(tmp_path, "sly", manifest)), {"SECRET_OF_MINE": "s"})


def test_headers_in_one_text_are_secret():
    """Headers that a client is given as one text go out with it, and are as secret as those of a provider."""
    tree = {"claudeCodeSettings": {"env": {"ANTHROPIC_CUSTOM_HEADERS": "X-Team: tea-for-two", "EDITOR": "vi"}}}
    made = export(tree, [], {"name": "p"})
    assert "tea-for-two" not in json.dumps(made.manifest)
    assert made.manifest["claudeCodeSettings"]["env"]["EDITOR"] == "vi"
