"""gunicorn's threaded worker for clients of any speed: threads only make responses.

The server's loop, one thread, waits for the heads of requests, sends what clients did not take of their
answers at once, and ends connections. So neither a head that is held back nor an answer that is not taken
keeps a thread busy. A body does: of the threads one client has so many, and the others some besides; two more
answer nothing but whether the process lives. Where there are as many connections as may be, who has the most
of them loses one.
"""

import contextlib
import errno
import selectors
import socket
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from flask_detector.web.core.client_network import network_of
from flask_detector.web.core.quota import Quota
from flask_detector.web.server.asked_body import AskedBody, check_host, closing
from flask_detector.web.server.bad_requests import Refusal
from flask_detector.web.server.paced_socket import PacedSocket

# How long the system tries to send what the other side does not take, in milliseconds.
_SEND_MILLISECONDS = 60_000

# A client that is still sending when it is refused has to read to learn why: what it sends meanwhile is taken
# and forgotten, until it pauses or for so many seconds.
_LINGER_SECONDS = 60.0
_LINGER_PAUSE_SECONDS = 2.0

# Requests that are answered at any time, by threads of their own.
_PROBES = (b"GET /healthz ", b"HEAD /healthz ")


@dataclass
class _Watched:
    """A connection that the loop waits for: until when, and what of it is waited for."""

    seconds_left: Callable[[], float]
    is_idle: Callable[[], bool] = lambda: False


def threads(web_threads: int) -> int:
    """Return how many threads there are in all, of which one client has so many at most."""
    return web_threads + max(2, web_threads // 4)


class PatientWorker(ThreadWorker):
    """gunicorn's worker with threads, whose patience has an end.

    Its own methods run in the loop's thread, `handle` and what that calls in one of the others.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = self.app.settings
        self._threads_of_one = settings.web_threads
        # For what clients have not taken of their answers.
        self._room = Quota(4 * settings.max_batch_bytes, client_part=0.5)
        self._busy: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._watched: dict[Any, _Watched] = {}
        self._probes = ThreadPoolExecutor(2, "probes")
        self._is_out_of_files = False

    def load_wsgi(self) -> None:
        """Load the application."""
        super().load_wsgi()
        self.wsgi: Any = closing(self.wsgi)

    def notify(self) -> None:
        """Tell no arbiter that this process lives: there is none, and it was written to a file each time."""

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; where the system has no file for it, the next round makes room."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
            self._is_out_of_files = True

    def enqueue_req(self, conn: Any) -> None:
        """Wait until there is a request's head, then have it answered."""
        if not isinstance(conn.sock, PacedSocket):
            conn.sock = _paced(conn, self._room)
            conn.data_ready = True  # gunicorn would wait for it in a thread
        conn.sock.setblocking(False)
        conn.sock.begin(conn.parser.unreader.take_buffered() if conn.parser is not None else b"")
        self._gather(conn)

    def _gather(self, conn: Any) -> None:
        try:
            is_there = conn.sock.gather()
        except OSError:
            self._drop(conn)
            return
        if is_there:
            self._unwatch(conn)
            self._dispatch(conn)
        elif conn not in self._watched:
            sock = conn.sock
            watched = _Watched(lambda: sock.seconds_to_receive, lambda: not sock.ahead)
            self._watch(conn, selectors.EVENT_READ, self._gather, watched)

    def _dispatch(self, conn: Any) -> None:
        """Give a request to a thread, or let it wait for its client's others."""
        client = conn.sock.client
        conn.is_probe = conn.sock.ahead.startswith(_PROBES)
        if conn.is_probe:
            self._submit(self._probes, conn)
        elif self._busy[client] < self._threads_of_one:
            self._busy[client] += 1
            self._submit(self.tpool, conn)
        else:
            self._waiting[client].append(conn)

    def _submit(self, pool: ThreadPoolExecutor, conn: Any) -> None:
        answered = pool.submit(self.handle, conn)
        answered.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def handle(self, conn: Any) -> Any:
        """Answer a request; the time for its body begins now."""
        conn.sock.begin_receiving()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request."""
        body = AskedBody(req, conn.sock)
        check_host(req)
        return super().handle_request(req, conn) and not body.is_failed

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what is no proper request."""
        super().handle_error(req, Refusal(client), addr, exc)

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Go on with a connection when its thread is done: send the rest, and take the next request."""
        if not conn.is_probe:
            self._leave(conn.sock.client)
        if conn.sock.fileno() < 0:  # its thread let go of it
            self.nr_conns -= 1
            return
        conn.sock.setblocking(False)
        keeps = not fs.cancelled() and fs.exception() is None and bool(fs.result())
        self._guarded(partial(self._send_rest, keeps=keeps), conn)

    def _leave(self, client: str) -> None:
        """Let the client's next request have the thread."""
        if waiting := self._waiting.get(client):
            self._submit(self.tpool, waiting.popleft())
            return
        self._waiting.pop(client, None)
        self._busy[client] -= 1
        if not self._busy[client]:
            del self._busy[client]

    def _send_rest(self, conn: Any, keeps: bool) -> None:
        try:
            is_sent = conn.sock.send_rest()
        except OSError:
            self._drop(conn)
            return
        if not is_sent:
            if conn not in self._watched:
                sock = conn.sock
                watched = _Watched(lambda: sock.seconds_to_send)
                self._watch(conn, selectors.EVENT_WRITE, partial(self._send_rest, keeps=keeps), watched)
            return
        self._unwatch(conn)
        if not keeps:
            self._linger(conn)
        elif conn.sock.ahead:
            self.enqueue_req(conn)
        else:
            super().finish_request(conn, _KEPT)

    def _linger(self, conn: Any) -> None:
        """End a connection so that a client that is still sending sees its answer and not a reset."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        sock: PacedSocket = conn.sock
        last = time.monotonic() + _LINGER_SECONDS
        conn.timeout = time.monotonic() + _LINGER_PAUSE_SECONDS

        def seconds_left() -> float:
            rest: float = min(conn.timeout, last) - time.monotonic()
            return rest if sock.is_taken else max(rest, sock.seconds_to_send)

        self._watch(conn, selectors.EVENT_READ, self._forget_sent, _Watched(seconds_left))

    def _forget_sent(self, conn: Any) -> None:
        try:
            has_more = bool(socket.socket.recv(conn.sock, 1 << 16))
        except BlockingIOError:
            return
        except OSError:
            self._drop(conn)
            return
        if has_more:
            conn.timeout = time.monotonic() + _LINGER_PAUSE_SECONDS
        elif conn.sock.is_taken:
            self._drop(conn)
        else:
            conn.timeout = 0.0
            self.poller.unregister(conn.sock)

    def murder_pending(self) -> None:
        """Let go of connections whose time is over; while stopping, of those that ask for nothing, too."""
        for conn, watched in list(self._watched.items()):
            if watched.seconds_left() <= 0 or (not self.alive and watched.is_idle()):
                self._drop(conn, is_too_slow=not conn.sock.is_taken)
        # Not as one is accepted: what is dropped might be among what the loop has still to look at.
        if self.nr_conns >= self.worker_connections or self._is_out_of_files:
            self._is_out_of_files = False
            self._make_room()

    def _make_room(self) -> None:
        """Let go of a connection that no thread has: of the client with the most, what costs it least."""
        waiting = [conn for conns in self._waiting.values() for conn in reversed(conns)]
        without_thread = [*self.keepalived_conns, *self._watched, *waiting]
        if not without_thread:
            return
        [(client, _)] = Counter(conn.sock.client for conn in without_thread).most_common(1)
        conn = next(conn for conn in without_thread if conn.sock.client == client)
        if conn in self.keepalived_conns:
            self.keepalived_conns.remove(conn)
            self.poller.unregister(conn.sock)
        elif conn not in self._watched:
            self._waiting[client].remove(conn)
        self._drop(conn, is_too_slow=True)

    def _watch(self, conn: Any, event: int, then: Callable[[Any], None], watched: _Watched) -> None:
        self._watched[conn] = watched
        self.poller.register(conn.sock, event, lambda _: self._guarded(then, conn))

    def _guarded(self, step: Callable[[Any], None], conn: Any) -> None:
        """Do what is next for a connection; one's trouble is not to end the loop, which is everybody's."""
        try:
            step(conn)
        except Exception:
            self.log.exception("connection closed")
            self._drop(conn)

    def _unwatch(self, conn: Any) -> None:
        if self._watched.pop(conn, None) is not None:
            with contextlib.suppress(KeyError, ValueError):
                self.poller.unregister(conn.sock)

    def _drop(self, conn: Any, *, is_too_slow: bool = False) -> None:
        self._unwatch(conn)
        self.nr_conns -= 1
        if is_too_slow:
            conn.sock.abort()
        else:
            conn.close()


# What a thread returns whose connection is kept open.
_KEPT: "Future[bool]" = Future()
_KEPT.set_result(True)


def _paced(conn: Any, room: Quota) -> PacedSocket:
    address = conn.client[0] if isinstance(conn.client, tuple) and conn.client else ""
    sock = PacedSocket(conn.sock, room, network_of(address))
    if sys.platform == "linux" and sock.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SEND_MILLISECONDS)
    return sock
