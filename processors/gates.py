"""Gates: what may hold lanes back, each a count of jobs or a bucket of tokens.

A limit is a gate of the lanes that it counts; a paused queue is a gate that nothing passes. A job
counts from the moment it is offered until it ends, so that no offer that is out can exceed a limit,
however late it is claimed. A lane that finds a gate shut is parked there and costs nothing until
the gate opens; as many lanes are let go as the gate has room for, in the order of their turns.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from events.contracts.limit import LimitScope
from events.contracts.values import PLATFORM_TENANT
from processors.lanes import Lane, LaneKey
from processors.turns import Turns

ANY_NUMBER: Final = 1_000_000_000


class Scope(NamedTuple):
    """Which jobs a limit counts."""

    tenant: str
    """`PLATFORM_TENANT` stands for all of them; it has limits of tools only."""
    kind: LimitScope
    subject: str


@dataclass(frozen=True, slots=True)
class Bound:
    """What a gate lets through."""

    concurrency: int | None = None
    rate: int | None = None
    per_seconds: float | None = None


PAUSED: Final = Bound(concurrency=0)


class Gate:
    """One gate; `held` is how many jobs count at the moment."""

    def __init__(self, bound: Bound, turns: Turns, *, opens_at: float, is_full: bool) -> None:
        """Nothing passes before `opens_at`; `is_full`: the bucket of tokens is, to begin with."""
        self.bound = bound
        self.held = 0
        self.parked = turns
        self._opens_at = opens_at
        self._tokens = float(bound.rate or 0) if is_full else 0.0
        self._filled_at = opens_at

    def room(self, now: float) -> int:
        """How many more jobs may pass."""
        if now < self._opens_at:
            return 0
        room = ANY_NUMBER
        if self.bound.concurrency is not None:
            room = self.bound.concurrency - self.held
        if self.bound.rate is not None:
            self._refill(now)
            room = min(room, int(self._tokens))
        return room

    def opens_in(self, now: float) -> float | None:
        """In how many seconds it might open by itself; None: only when a job ends."""
        if now < self._opens_at:
            return self._opens_at - now
        if self.bound.rate is None or self._tokens >= 1:
            return None
        return (1 - self._tokens) * self._seconds_a_token

    def spend(self) -> None:
        """A job passes."""
        self._tokens -= 1

    def is_idle(self, now: float) -> bool:
        """Whether a new one would be the same."""
        return not (self.held or self.parked) and self.room(now) >= (self.bound.rate or 0)

    @property
    def _seconds_a_token(self) -> float:
        return (self.bound.per_seconds or 1.0) / (self.bound.rate or 1)

    def _refill(self, now: float) -> None:
        passed = max(now - self._filled_at, 0.0)
        most = float(self.bound.rate or 0)
        self._tokens = min(self._tokens + passed / self._seconds_a_token, most)
        self._filled_at = now


class Gates:
    """All gates, and which lanes stand before them."""

    def __init__(self, aging_seconds: float, sure_at: float = 0.0) -> None:
        """Before `sure_at` it is not known what a predecessor offered: no limit lets go of jobs."""
        self._aging_seconds = aging_seconds
        self._sure_at = sure_at
        self._limits: dict[Scope, Bound] = {}
        self._gates: dict[Scope | tuple[str, str], Gate] = {}
        self._opened: dict[Gate, None] = {}
        """In the order in which they opened."""
        self._timers: list[tuple[float, int, Gate]] = []
        self._timed: set[Gate] = set()
        self._timer_number = 0

    def of(self, key: LaneKey) -> tuple[Gate, ...]:
        """The gates that the jobs of a lane have to pass."""
        if not self._gates and not self._limits:
            return ()
        return tuple(gate for gate in map(self._gate, scopes_of(key)) if gate is not None) + tuple(
            gate for gate in (self._gates.get((key.tenant, key.queue)),) if gate is not None
        )

    def set_limit(self, scope: Scope, bound: Bound, *, is_new: bool) -> None:
        """Let there be this limit; `is_new`: it was set now, not before we began."""
        self.remove_limit(scope)
        self._limits[scope] = bound
        if not _is_template(scope):
            self._gates[scope] = self._make(bound, is_new)

    def remove_limit(self, scope: Scope) -> None:
        """Let there be no such limit."""
        self._limits.pop(scope, None)
        for known in [scope, *self._made_from(scope)]:
            self._gates.pop(known, None)

    def pause(self, tenant: str, queue: str) -> None:
        """Let no job of a tenant leave a queue."""
        self._gates[(tenant, queue)] = self._make(PAUSED, is_new=True)

    def resume(self, tenant: str, queue: str) -> None:
        """Let them go again."""
        self._gates.pop((tenant, queue), None)

    def is_paused(self, tenant: str, queue: str) -> bool:
        """Whether no job of the tenant may leave the queue."""
        return (tenant, queue) in self._gates

    @property
    def has_pauses(self) -> bool:
        """Whether any queue is paused."""
        return any(not isinstance(known, Scope) for known in self._gates)

    def forget_idle(self, lanes: Iterable[Lane], now: float) -> None:
        """Let go of gates of single keys that nobody needs: another is made when it is needed."""
        needed = {gate for lane in lanes for gate in lane.gates}
        for known, gate in list(self._gates.items()):
            is_made = isinstance(known, Scope) and known not in self._limits
            if is_made and gate not in needed and gate.is_idle(now):
                del self._gates[known]

    def clear_parked(self) -> None:
        """The gates have changed: whoever was parked is looked at anew."""
        for gate in self._gates.values():
            gate.parked = Turns(self._aging_seconds)
        self._opened.clear()

    def count_anew(self, held: Iterable[Lane]) -> None:
        """The gates have changed: count what is held, lane by lane, from the beginning."""
        for gate in self._gates.values():
            gate.held = 0
        for lane in held:
            for gate in lane.gates:
                gate.held += 1

    def shut(self, lane: Lane, now: float, *, is_counted: bool) -> Gate | None:
        """The first gate that a lane cannot pass; `is_counted`: its first job counts already."""
        for gate in lane.gates:
            if gate.room(now) <= 0 and not (is_counted and gate.bound is not PAUSED):
                return gate
        return None

    def park(self, lane: Lane, gate: Gate, now: float) -> None:
        """Let a lane wait before a gate that is shut."""
        gate.parked.enter(lane)
        self._set_timer(gate, now)
        for other in lane.gates:
            # What it might have taken there is for somebody else.
            if other is not gate and other.parked:
                self._opened[other] = None

    def give(self, lane: Lane) -> None:
        """A job of a lane counts no more."""
        for gate in lane.gates:
            gate.held -= 1
            if gate.parked:
                self._opened[gate] = None

    def let_go(self, now: float, moment: datetime) -> list[Lane]:
        """As many parked lanes as there is room for; they are parked no more."""
        while self._timers and self._timers[0][0] <= now:
            gate = heapq.heappop(self._timers)[2]
            self._timed.discard(gate)
            self._opened[gate] = None
        return [lane for gate in list(self._opened) for lane in self._let_go(gate, now, moment)]

    def next_in(self, now: float) -> float | None:
        """In how many seconds a gate opens by itself, on which somebody waits."""
        return max(self._timers[0][0] - now, 0.0) if self._timers else None

    def _let_go(self, gate: Gate, now: float, moment: datetime) -> Iterator[Lane]:
        for _ in range(min(gate.room(now), len(gate.parked))):
            lane = gate.parked.next(moment)
            if lane is None:
                break
            yield lane
        if not gate.parked or gate.room(now) <= 0:
            self._opened.pop(gate, None)
            self._set_timer(gate, now)

    def _set_timer(self, gate: Gate, now: float) -> None:
        seconds = gate.opens_in(now)
        if seconds is not None and gate not in self._timed and gate.parked:
            self._timer_number += 1
            self._timed.add(gate)
            heapq.heappush(self._timers, (now + seconds, self._timer_number, gate))

    def _gate(self, scope: Scope) -> Gate | None:
        gate = self._gates.get(scope)
        if gate is not None or scope.kind is not LimitScope.KEY or not scope.subject:
            return gate
        bound = self._limits.get(scope._replace(subject=""))
        if bound is None:
            return None
        gate = self._gates[scope] = self._make(bound, is_new=False)
        return gate

    def _made_from(self, scope: Scope) -> list[Scope]:
        """The gates of single keys that were made from a limit of each key."""
        if not _is_template(scope):
            return []
        return [
            known
            for known in self._gates
            if isinstance(known, Scope)
            and known._replace(subject="") == scope
            and known not in self._limits
        ]

    def _make(self, bound: Bound, is_new: bool) -> Gate:
        turns = Turns(self._aging_seconds)
        return Gate(bound, turns, opens_at=self._sure_at, is_full=is_new)


def scopes_of(key: LaneKey) -> list[Scope]:
    """The limits that might count the jobs of a lane."""
    scopes = [
        Scope(key.tenant, LimitScope.TENANT, ""),
        Scope(key.tenant, LimitScope.TOOL, key.tool),
        Scope(PLATFORM_TENANT, LimitScope.TOOL, key.tool),
    ]
    if key.limit_key:
        scopes.append(Scope(key.tenant, LimitScope.KEY, key.limit_key))
    return scopes


def _is_template(scope: Scope) -> bool:
    return scope.kind is LimitScope.KEY and not scope.subject
