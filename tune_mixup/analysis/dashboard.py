"""The web pages of optuna-dashboard for a sweep, without its power to change or delete the study.

It is meant to be reached by a browser of this host only: it listens on the loopback address, and answers nothing that
was asked of another name, by which a foreign web page could otherwise read it (DNS rebinding).
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from typing_extensions import override

from tune_mixup.record.read_only import read_only_storage
from tune_mixup.record.sweep_record import SweepRecord

LOOPBACK = "127.0.0.1"
PORT = 8080
READING = ("GET", "HEAD")
"""The methods that are answered."""
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""An application as PEP 3333 has it."""


def study_app(record: SweepRecord) -> App:
    """The pages of a sweep's study. Raises ValueError where optuna-dashboard is not installed."""
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise ValueError(
            "dashboard: optuna-dashboard is not installed; `pip install 'tune_mixup[dashboard]'` brings it"
        ) from None
    app: App = wsgi(read_only_storage(record.folder.journal))
    return app


def reading_only(app: App, *, port: int) -> App:
    """`app` for requests that read and that were sent to this host at `port`; 405 and 403 for all others."""
    hosts = {f"{name}:{port}" for name in (LOOPBACK, "localhost")} | ({LOOPBACK, "localhost"} if port == 80 else set())

    def answer(environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environment.get("HTTP_HOST", "").lower() not in hosts:
            return _refuse(start, "403 Forbidden", f"ask for http://{LOOPBACK}:{port}/", [])
        if environment["REQUEST_METHOD"] not in READING:
            return _refuse(start, "405 Method Not Allowed", "a sweep's study can only be read here", READING)
        return app(environment, start)

    return answer


def _refuse(start: Callable[..., Any], status: str, words: str, allowed: Iterable[str]) -> list[bytes]:
    body = f"{words}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start(status, [*headers, *([("Allow", ", ".join(allowed))] if allowed else [])])
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # whoever still reads does not hold up the end


class _Handler(WSGIRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line per request would tell nobody anything."""


@contextmanager
def serving(app: App, port: int | None = None) -> Iterator[WSGIServer]:
    """A server for `app` on the loopback address: at `port`, else at `PORT`, else at a free one.

    It answers while its `serve_forever` runs. Raises ValueError when the port that was asked for is taken.
    """
    server = _at(PORT if port is None else port, fallback=port is None)
    server.set_app(reading_only(app, port=server.server_port))
    try:
        yield server
    finally:
        server.server_close()


def _at(port: int, *, fallback: bool) -> WSGIServer:
    try:
        return make_server(LOOPBACK, port, _nothing, server_class=_Server, handler_class=_Handler)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        if fallback:
            return _at(0, fallback=False)
        raise ValueError(f"--port: {port} can't be used ({error.strerror}); give another one") from None


def _nothing(environment: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    return _refuse(start, "503 Service Unavailable", "not yet", [])
