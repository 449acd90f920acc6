"""What is told of a prompt to whoever watches the caches, where Claude runs on a cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccrouter.gateway.record import PromptNote
from tests.cloud.google import Google
from tests.cloud.test_vertex import config
from tests.gateway.conftest import running


@pytest.mark.parametrize("profile", [{}, {"profile": "anthropic"}])
async def test_a_cloud_is_not_anthropic_itself(google: Google, tmp_path: Path, profile: dict[str, str]) -> None:
    """Whatever the profile: there its caches know nothing of what Anthropic's own API leaves out of a prompt."""
    noted: list[bool] = []
    async with running(config(google, **profile), tmp_path, records=tmp_path / "records.db") as router:
        recorder = router.app.keeping.recorder
        pass_on = recorder.note_prompt

        def note_prompt(note: PromptNote) -> None:
            noted.append(note.is_first_party)
            pass_on(note)

        recorder.note_prompt = note_prompt
        assert (await router.ask(headers={"x-claude-code-session-id": "s1"}))[0] == 200
    assert noted == [False]
