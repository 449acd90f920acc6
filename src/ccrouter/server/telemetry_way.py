"""The way out for OpenTelemetry: no redirect is followed, no proxy taken that was not judged, and every address that a
connection leads to is judged before anything is said to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from ccrouter.config.collector import CollectorUrl
from ccrouter.errors import Denied

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

    from ccrouter.server.telemetry import Ways


def judged_session(one: CollectorUrl, ways: Ways, withheld: Collection[str] = ()) -> requests.Session:
    """A session that sends to `one` what `ways` let out, without the headers `withheld`, and nothing elsewhere."""
    import requests  # noqa: PLC0415 - of the extra

    class Session(requests.Session):
        def request(self, method: Any, url: Any, *given: Any, **named: Any) -> requests.Response:
            try:
                answer = self._sent(method, url, *given, **named)
            except Exception as error:
                ways.failed(f"{type(error).__name__}: {error}")
                raise
            if answer.ok:
                ways.worked()
            else:
                ways.failed(f"it answered {answer.status_code}")
            return answer

        def _sent(self, method: Any, url: Any, *given: Any, **named: Any) -> requests.Response:
            if str(url) != one.url:
                raise Denied(f"telemetry goes to {one.url} alone", rule="")
            proxy = ways.judge(one, None)
            named["allow_redirects"] = False
            named["proxies"] = {"http": proxy, "https": proxy} if proxy else {}
            answer = super().request(method, url, *given, **named)
            if 300 <= answer.status_code < 400:
                answer.close()
                raise requests.RequestException(f"a redirect of the collector is not followed ({answer.status_code})")
            return answer

        def send(self, request: Any, **named: Any) -> requests.Response:
            for name in withheld:
                request.headers.pop(name, None)
            return super().send(request, **named)

    session = Session()
    session.trust_env = False  # no proxy, no password file and no certificates that were not asked for
    for scheme in ("http://", "https://"):
        session.mount(scheme, _adapter(lambda address: ways.judge(one, address)))
    return session


def _adapter(judge: Callable[[str], object]) -> HTTPAdapter:
    """Connects to addresses that `judge` does not refuse: where no proxy stands between, that are the collector's."""
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - of the extra
    from urllib3.connection import HTTPConnection, HTTPSConnection  # noqa: PLC0415 - of the extra
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool  # noqa: PLC0415 - of the extra

    def judged(connection: Any, proxy: Any) -> Any:
        if proxy is None:
            try:
                judge(connection.getpeername()[0])
            except BaseException:
                connection.close()
                raise
        return connection

    class Plain(HTTPConnection):
        def _new_conn(self) -> Any:
            return judged(super()._new_conn(), self.proxy)

    class Sealed(HTTPSConnection):
        def _new_conn(self) -> Any:
            return judged(super()._new_conn(), self.proxy)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SealedPool(HTTPSConnectionPool):
        ConnectionCls = Sealed

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *given: Any, **named: Any) -> None:
            super().init_poolmanager(*given, **named)
            self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SealedPool}

    return Adapter()
