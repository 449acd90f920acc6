"""Where requests go, and which models they ask for."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from ccrouter.dialects.gemini import DIALECT
from ccrouter.dialects.gemini.place import url_of
from ccrouter.errors import ClientError, LocalProtocolError

GOOGLE = "https://generativelanguage.googleapis.com"
VERTEX = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models"


@pytest.mark.parametrize(
    ("base", "path"),
    [
        (f"{GOOGLE}/v1beta/models/", "/v1beta/models/m1:generateContent"),
        (f"{GOOGLE}/v1beta/models", "/v1beta/models/m1:generateContent"),
        (f"{GOOGLE}/v1beta", "/v1beta/models/m1:generateContent"),
        (f"{GOOGLE}/v1/", "/v1/models/m1:generateContent"),
        (f"{GOOGLE}/v1alpha2", "/v1alpha2/models/m1:generateContent"),
        (f"{GOOGLE}/v1beta/models/gemini-1.5-pro:generateContent", "/v1beta/models/m1:generateContent"),
        (f"{GOOGLE}/v1beta/models/other:streamGenerateContent?alt=sse", "/v1beta/models/m1:generateContent"),
        (VERTEX, "/v1/projects/p/locations/global/publishers/google/models/m1:generateContent"),
        ("http://127.0.0.1:9/odd/place/", "/odd/place/m1:generateContent"),
    ],
)
def test_base(base, path):
    """The base may be written in any of these ways; an older model in it gives way."""
    url = urlsplit(url_of(base, "m1", is_streamed=False))
    assert (url.path, url.query) == (path, "")
    assert url.netloc == urlsplit(base).netloc
    streamed = urlsplit(url_of(base, "models/m1", is_streamed=True))
    assert (streamed.path, streamed.query) == (path.replace(":g", ":streamG"), "alt=sse")


def test_query_is_kept():
    """What the user wrote into the query stays, apart from the form of the answer."""
    assert urlsplit(url_of(f"{GOOGLE}/v1beta?a=1&alt=json", "m", is_streamed=True)).query == "a=1&alt=sse"


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.text(min_size=1, max_size=30)
    | st.text(st.sampled_from("./:?#%&@\\ ;=models"), min_size=1, max_size=20)
    | st.sampled_from(["..", ".", "../..", "a/../../b", "models/../x", "x:countTokens", "x?key=1", "//evil.example/x"])
)
def test_a_name_leads_nowhere_else(model):
    """Whatever is in the name of a model: host, folder and method stay, and the name can be read back; or it is refused."""
    base = f"{GOOGLE}/v1beta/models"
    try:
        url = url_of(base, model, is_streamed=True)
    except (ClientError, UnicodeEncodeError):
        return
    sent = URL(url)
    assert sent.host == "generativelanguage.googleapis.com"
    assert sent.raw_path.startswith("/v1beta/models/")
    assert sent.raw_path.count("/") == 3
    assert sent.raw_path.endswith(":streamGenerateContent")
    assert sent.raw_query_string == "alt=sse"
    asked = DIALECT.models_sent(url, b'{"contents":[]}')
    assert asked == [model.removeprefix("models/")]
    assert DIALECT.models_sent(str(sent), b'{"contents":[]}') == asked


BODIES = [
    ({}, ["m1"]),
    ({"model": "models/m2"}, ["m1", "models/m2"]),
    ({"contents": [{"role": "user", "parts": [{"text": "model: x"}]}]}, ["m1"]),
    (
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "Task", "parametersJsonSchema": {"properties": {"model": {"enum": ["opus"]}}}}
                    ]
                }
            ]
        },
        ["m1"],
    ),
    ({"systemInstruction": {"parts": [{"text": "x", "model": "y"}]}}, ["m1"]),
    ({"generationConfig": {"routingConfig": {"manualMode": {"modelName": "m3"}}}}, ["m1", "m3"]),
    ({"generation_config": {"routing_config": {"manual_mode": {"model_name": "m3"}}}}, ["m1", "m3"]),
    ({"generationConfig": {"routingConfig": {"autoMode": {}}}}, ["m1", "autoMode"]),
    ({"generationConfig": {"modelSelectionConfig": {"x": 1}}}, ["m1", "modelSelectionConfig"]),
]


@pytest.mark.parametrize(("body", "models"), BODIES)
def test_models_sent(body, models):
    """Every model that URL and bytes ask for, and none that is only talked about."""
    sent = json.dumps(body, separators=(",", ":")).encode()
    assert DIALECT.models_sent(f"{GOOGLE}/v1beta/models/m1:generateContent", sent) == models


@pytest.mark.parametrize("url", [f"{GOOGLE}/v1beta/models/m1:x", "https://r.example/p/m1:generateContent"])
def test_model_in_any_place(url):
    """The model is read from the path, whatever the folder is called."""
    assert DIALECT.models_sent(url, b"{}") == ["m1"]


def test_ambiguous_bytes_are_refused():
    """A body that two readers could read differently names no model for certain."""
    with pytest.raises(LocalProtocolError):
        DIALECT.models_sent(f"{GOOGLE}/v1beta/models/m1:x", b'{"model":"a","model":"b"}')
