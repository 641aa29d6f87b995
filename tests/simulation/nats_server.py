"""A NATS server in memory: core subjects, the stream EVENTS, the work queue READY.

It does what the product relies on and no more. Each connection is an ordered link of its own speed;
when it breaks, what was under way on it in either direction is gone. Work that was handed out and
not answered is handed out again. EVENTS survives a kill, READY does not, as they are declared.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from events.contracts.subjects import EVENTS_STREAM, READY_STREAM
from tests.simulation.virtual_time import NOON

ACK_SECONDS: Final = 6.0
LINK_SECONDS_MAX: Final = 0.003
BAD_LINK_SECONDS_MAX: Final = 0.15

Deliver = Callable[[str, str, bytes, dict[str, str] | None], None]
"""Takes subject, reply, body and headers of a message."""


@dataclass(eq=False)
class Link:
    """One connection: both directions in order, nothing lost but everything at once."""

    dice: random.Random
    on_cut: Callable[[], None] = lambda: None
    is_up: bool = True
    is_bad: bool = False
    _free_at: float = 0.0

    def carry(self, arrive: Callable[[], None]) -> None:
        """Let something arrive at the other end, unless the link breaks before."""
        loop = asyncio.get_running_loop()
        most = BAD_LINK_SECONDS_MAX if self.is_bad else LINK_SECONDS_MAX
        # Never before what was sent earlier.
        self._free_at = max(loop.time() + self.dice.uniform(0.0, most), self._free_at)
        loop.call_at(self._free_at, self._arrived, arrive)

    def _arrived(self, arrive: Callable[[], None]) -> None:
        if self.is_up:
            arrive()


@dataclass(eq=False)
class Subscription:
    """One interest of one connection."""

    link: Link
    subject: str
    deliver: Deliver

    def hears(self, subject: str) -> bool:
        """Whether a message of this subject is for it."""
        wanted, given = self.subject.split("."), subject.split(".")
        for index, token in enumerate(wanted):
            if token == ">":
                return len(given) > index
            if index >= len(given) or token not in ("*", given[index]):
                return False
        return len(wanted) == len(given)


@dataclass
class Message:
    """A message as a stream keeps it."""

    subject: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Stream:
    """A stream and what it holds."""

    name: str
    config: Any
    created: int
    first: int = 1
    last: int = 0
    messages: dict[int, Message] = field(default_factory=dict)
    consumers: dict[str, Any] = field(default_factory=dict)

    def store(self, message: Message) -> int:
        """Keep a message; returns its sequence number."""
        self.last += 1
        self.messages[self.last] = message
        return self.last

    def info(self) -> dict[str, Any]:
        """What the server tells of it."""
        held = self.messages
        first = min(held) if held else self.last + 1
        deleted = [n for n in range(first, self.last + 1) if n not in held] if held else []
        state = {"first_seq": first, "last_seq": self.last, "deleted": deleted}
        return {"created": f"{self.created}", "state": {"messages": len(held), **state}}


@dataclass
class Asked:
    """A worker's request for offers."""

    link: Link
    inbox: str
    left: int
    expires_at: float


class WorkQueue:
    """The consumer that workers share: who gets which offer, and again until it is answered."""

    def __init__(self, server: "SimNats") -> None:
        self._server = server
        self._asked: deque[Asked] = deque()
        self._deliveries: dict[int, int] = {}
        self._pending: dict[int, asyncio.TimerHandle] = {}
        self._again: deque[int] = deque()
        self._next = 1
        self.delivered = 0

    def reset(self) -> None:
        """The server forgets everything."""
        for timer in self._pending.values():
            timer.cancel()
        self.__init__(self._server)  # type: ignore[misc]

    def ask(self, link: Link, inbox: str, body: bytes) -> None:
        """Take a request."""
        request = orjson.loads(body)
        loop = asyncio.get_running_loop()
        seconds = request["expires"] / 1e9
        asked = Asked(link, inbox, request["batch"], loop.time() + seconds)
        self._asked.append(asked)
        loop.call_later(seconds, self._expire, asked)
        self.hand_out()

    def hand_out(self) -> None:
        """Give what waits to who asked."""
        while (stream := self._server.streams.get(READY_STREAM)) is not None:
            asked = self._next_asked()
            sequence = self._next_offer(stream) if asked is not None else None
            if asked is None or sequence is None:
                return
            asked.left -= 1
            self._give(stream, sequence, asked)

    def answer(self, sequence: int, body: bytes) -> None:
        """Take an answer to an offer."""
        stream = self._server.streams.get(READY_STREAM)
        timer = self._pending.pop(sequence, None)
        if stream is None or timer is None:
            return
        timer.cancel()
        if body.startswith(b"-NAK"):
            delay = orjson.loads(body[4:])["delay"] / 1e9 if body[4:].strip() else 0.0
            asyncio.get_running_loop().call_later(delay, self._come_again, sequence)
        else:
            stream.messages.pop(sequence, None)
            self._deliveries.pop(sequence, None)

    def _next_asked(self) -> Asked | None:
        while self._asked:
            first = self._asked[0]
            if first.left > 0 and first.link.is_up:
                return first
            self._asked.popleft()
        return None

    def _next_offer(self, stream: Stream) -> int | None:
        while self._again:
            sequence = self._again.popleft()
            if sequence in stream.messages:
                return sequence
        while self._next <= stream.last:
            sequence, self._next = self._next, self._next + 1
            if sequence in stream.messages:
                return sequence
        return None

    def _give(self, stream: Stream, sequence: int, asked: Asked) -> None:
        message = stream.messages[sequence]
        times = self._deliveries[sequence] = self._deliveries.get(sequence, 0) + 1
        self.delivered = max(self.delivered, sequence)
        reply = f"$JS.ACK.{READY_STREAM}.worker.{times}.{sequence}.{sequence}.0.0"
        loop = asyncio.get_running_loop()
        self._pending[sequence] = loop.call_later(ACK_SECONDS, self._unanswered, sequence)
        self._server.send(asked.link, asked.inbox, reply, message.body, None)

    def _unanswered(self, sequence: int) -> None:
        self._pending.pop(sequence, None)
        self._come_again(sequence)

    def _come_again(self, sequence: int) -> None:
        self._again.append(sequence)
        self.hand_out()

    def _expire(self, asked: Asked) -> None:
        if asked in self._asked and asked.link.is_up:
            self._asked.remove(asked)
            headers = {"Status": "408", "Nats-Pending-Messages": str(asked.left)}
            self._server.send(asked.link, asked.inbox, "", b"", headers)


class SimNats:
    """The server."""

    def __init__(self, dice: random.Random) -> None:
        self.is_up = True
        self.streams: dict[str, Stream] = {}
        self.queue = WorkQueue(self)
        self._dice = dice
        self._subscriptions: list[Subscription] = []
        self._created = int(NOON.timestamp())
        self.links: list[Link] = []

    # -- connections ----------------------------------------------------------------------------

    def connect(self, on_cut: Callable[[], None]) -> Link | None:
        """A new connection; None while the server is away."""
        if not self.is_up:
            return None
        link = Link(self._dice, on_cut)
        self.links.append(link)
        return link

    def cut(self, link: Link) -> None:
        """A connection breaks."""
        link.is_up = False
        if link in self.links:
            self.links.remove(link)
            link.on_cut()
        self._subscriptions = [each for each in self._subscriptions if each.link is not link]

    def subscribe(self, link: Link, subject: str, deliver: Deliver) -> Subscription:
        """Hear a subject; in force when the link has carried it."""
        subscription = Subscription(link, subject, deliver)
        link.carry(lambda: self._subscriptions.append(subscription))
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Hear no more."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def send(
        self, link: Link, subject: str, reply: str, body: bytes, headers: dict[str, str] | None
    ) -> None:
        """Send a message to the subscribers of one connection."""
        for each in list(self._subscriptions):
            if each.link is link and each.hears(subject):
                self._deliver(each, subject, reply, body, headers)

    def route(
        self, link: Link, subject: str, reply: str, body: bytes, headers: dict[str, str]
    ) -> None:
        """A message has arrived on a connection."""
        if subject.startswith("$JS.ACK."):
            self.queue.answer(int(subject.split(".")[5]), body)
        elif subject.startswith("$JS.API.CONSUMER.MSG.NEXT."):
            self.queue.ask(link, reply, body)
        elif subject.startswith("$JS.API."):
            answer = self._answer(subject.removeprefix("$JS.API."))
            self.send(link, reply, "", orjson.dumps(answer), None)
        else:
            self._publish(link, subject, reply, body, headers)

    # -- faults ---------------------------------------------------------------------------------

    def kill(self) -> None:
        """As SIGKILL: connections and memory are gone, files stay."""
        self.is_up = False
        for link in list(self.links):
            self.cut(link)
        self.queue.reset()
        if (ready := self.streams.get(READY_STREAM)) is not None:
            ready.messages.clear()
            ready.last = 0
            ready.created = self._born()

    def start(self) -> None:
        """Come back."""
        self.is_up = True

    def wipe(self) -> None:
        """Lose every stream, as when the folder is deleted."""
        self.streams.clear()
        self.queue.reset()

    # -- inside ---------------------------------------------------------------------------------

    def make(self, name: str, config: Any, first: int) -> Stream:
        """Make a stream."""
        stream = Stream(name, config, self._born(), first=first, last=first - 1)
        self.streams[name] = stream
        return stream

    def delete(self, name: str) -> None:
        """Delete a stream."""
        self.streams.pop(name, None)
        if name == READY_STREAM:
            self.queue.reset()

    def _born(self) -> int:
        self._created += 1
        return self._created

    def _deliver(
        self,
        to: Subscription,
        subject: str,
        reply: str,
        body: bytes,
        headers: dict[str, str] | None,
    ) -> None:
        to.link.carry(lambda: to.deliver(subject, reply, body, headers))

    def _publish(
        self, link: Link, subject: str, reply: str, body: bytes, headers: dict[str, str]
    ) -> None:
        if subject.startswith("events."):
            self._store_event(link, subject, reply, body, headers)
        elif subject.startswith("ready."):
            self._store_offer(link, subject, reply, body)
        for each in list(self._subscriptions):
            if each.hears(subject):
                self._deliver(each, subject, reply, body, headers)

    def _store_event(
        self, link: Link, subject: str, reply: str, body: bytes, headers: dict[str, str]
    ) -> None:
        stream = self.streams.get(EVENTS_STREAM)
        if stream is None:
            self._tell(link, reply, b"")
            return
        if int(headers["Nats-Expected-Last-Sequence"]) != stream.last:
            error = {"err_code": 10071, "description": f"wrong last sequence: {stream.last}"}
            self._tell(link, reply, orjson.dumps({"error": error}))
            return
        sequence = stream.store(Message(subject, body, headers))
        self._tell(link, reply, orjson.dumps({"stream": stream.name, "seq": sequence}))

    def _store_offer(self, link: Link, subject: str, reply: str, body: bytes) -> None:
        stream = self.streams.get(READY_STREAM)
        if stream is None:
            self._tell(link, reply, b"")
            return
        sequence = stream.store(Message(subject, body, {}))
        self._tell(link, reply, orjson.dumps({"stream": stream.name, "seq": sequence}))
        self.queue.hand_out()

    def _tell(self, link: Link, reply: str, body: bytes) -> None:
        if reply:
            self.send(link, reply, "", body, None)

    def _answer(self, question: str) -> dict[str, Any]:
        verb, _, rest = question.rpartition(".")
        name = rest if verb.startswith("STREAM") else verb.rpartition(".")[2]
        stream = self.streams.get(name)
        if stream is None:
            return {"error": {"code": 404, "description": "stream not found"}}
        if verb == "STREAM.PURGE":
            stream.messages.clear()
            self.queue.reset()
            self.queue._next = stream.last + 1
            return {"success": True}
        if verb == "STREAM.INFO":
            return stream.info()
        return {"delivered": {"stream_seq": self.queue.delivered}}
