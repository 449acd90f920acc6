"""The Responses API as clients speak it: OpenAI's SDKs and agents, Codex. Stateless: nothing is kept for later."""

from __future__ import annotations

import time
from collections.abc import Callable

from ccrouter.config.schema import DialectName
from ccrouter.dialects.openai_responses.served.reading import ResponsesReading
from ccrouter.dialects.openai_served import NewId, ServedOpenAI, ids_of

random_id = ids_of(24)


class ServedResponses(ServedOpenAI):
    """As `dialects.served.Served`. `now` gives Unix seconds, `new_id` an id with the prefix that it is given."""

    name: DialectName = "openai_responses"

    def __init__(self, now: Callable[[], float] = time.time, new_id: NewId = random_id) -> None:
        super().__init__(now, new_id)

    def read(self, body: bytes) -> ResponsesReading:
        return ResponsesReading(body, self._now, self._new_id)


SERVED = ServedResponses()
