"""How far a run is: one stage of it, and what people are told."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from core.judges.engine import Engine
from core.judges.lanes import Meter

LOOK_S = 0.05


@dataclass(frozen=True)
class State:
    """How far a run is."""

    stage: str
    done: int = 0
    total: int = 0
    message: str = ""
    eta_s: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)


Watch = Callable[[State], None]


@dataclass
class Stage:
    """Progress of one stage."""

    name: str
    total: int
    done: int  # in the store, when it began and since
    failed: int = 0
    began: float = field(default_factory=time.monotonic)
    engine: Engine | None = None

    def __post_init__(self) -> None:
        self._known = self.done

    def state(self, spent: Callable[[Meter], float | None]) -> State:
        engine = self.engine
        meter, rate = engine.meter, engine.meter.per_second(self.began)
        left = max(self.total - self.done - self.failed, 0)
        told = [f"{self._known:,} known", f"{self.failed:,} failed", f"{60 * rate:.0f} a minute"]
        told.append(f"{engine.workers} at once" if not engine.asleep else f"waiting for the server: {meter.last_error}")
        detail = {
            "known": self._known,
            "failed": self.failed,
            "a minute": 60 * rate,
            "requests at once": engine.workers,
            "waiting for a slot": meter.waiting,
            "tokens read": meter.tokens_in,
            "of those re-used": meter.tokens_cached,
            "tokens written": meter.tokens_out,
            "cost": spent(meter),
            "last error": meter.last_error,
            "asleep": engine.asleep,
        }
        eta = left / rate if rate and not engine.asleep else None
        return State(self.name, self.done, self.total, ", ".join(told), eta, detail)


async def until_stopped(
    work: Coroutine[Any, Any, None], should_stop: Callable[[], bool], look: Callable[[], None] = lambda: None
) -> None:
    """Carry out `work`, looking around every LOOK_S; a stop hangs up at once, and the server stops generating."""
    working = asyncio.ensure_future(work)
    while not working.done():
        look()
        await asyncio.wait([working], timeout=LOOK_S)
        if not working.done() and should_stop():
            working.cancel()
            await asyncio.wait([working])
    if not working.cancelled():
        working.result()
