"""Chat Completions as clients speak it: OpenAI's SDKs, and everybody who was written for them."""

from __future__ import annotations

import time
from collections.abc import Callable

from ccrouter.config.schema import DialectName
from ccrouter.dialects.openai_chat.served.reading import ChatReading
from ccrouter.dialects.openai_served import NewId, ServedOpenAI, ids_of

random_id = ids_of(14)


class ServedChat(ServedOpenAI):
    """As `dialects.served.Served`. `now` gives Unix seconds, `new_id` an id with the prefix that it is given."""

    name: DialectName = "openai_chat"

    def __init__(self, now: Callable[[], float] = time.time, new_id: NewId = random_id) -> None:
        super().__init__(now, new_id)

    def read(self, body: bytes) -> ChatReading:
        return ChatReading(body, self._now, self._new_id)


SERVED = ServedChat()
