"""The judges' runner under load: `python -m benchmarks.judging`, ten minutes on two cores.

Against test servers that it starts itself (tests/model_server): answers right after two kills under all faults, throughput
and re-used prefixes by the number of workers, the time that a stop takes, memory by the number of pairs, and two servers
side by side. On the demo catalogue. It says nothing about real models.
"""

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import os
import platform
import resource
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from core import datasets, judges, prompts
from core.artifacts import Home, write_json
from core.datasets.demo import import_demo
from core.judges import Policy, Summary
from core.judges.base import Cost, Health, Reply, Request
from core.judges.lanes import lane_of
from core.judges.ollama import OllamaJudge
from core.records import Candidates, Dataset
from core.rng import stream
from core.settings import DemoSettings, JudgeSettings
from core.store import Store
from tests.model_server.model import Model
from tests.model_server.process import ModelServer, start

RESULTS = Path(__file__).parent / "results"
SHOP = DemoSettings(users=2000, items=1000, interactions=60_000)
FAULTS = (
    "500:41,502page:43,503:31,429:37,loading:97,retry-after:499,drop:47,partial:53,page:59,null:61,empty:67,fenced:29,"
    "chatter:23,lowercase:17,malformed:71,norating:73,wrong:79,longrating:83,prose:89,unfinished:101,length:103,"
    "streamerror:107,400long:109,hang:997,slow:1009,down:1500:1"
)
"""All that a run can survive; each strikes every so many calls, `down` once. The server's count goes on over both kills."""
PATIENT = Policy(pause_s=0.02, poll_s=0.1, transient_attempts=20, bad_answers=8)
SLOTS, DELAY_S = 4, 0.05
STOP_S = 1.0
"""A stop must be over within this time."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure and what was required of it; None where nothing was."""

    name: str
    value: str
    required: str = ""
    holds: bool | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="abcde", help="letters of the parts to measure")
    only = parser.parse_args().only
    began = time.monotonic()
    parts = {"a": faults, "b": throughput, "c": stops, "d": memory, "e": two_servers}
    with tempfile.TemporaryDirectory() as folder:
        home = Home.at(folder)
        import_demo(home, SHOP)
        tables = {title(parts[letter]): parts[letter](home) for letter in only}
    write(tables, time.monotonic() - began)
    sys.exit(any(row.holds is False for rows in tables.values() for row in rows))


def title(part: Callable[[Home], list[Row]]) -> str:
    return str(part.__doc__).splitlines()[0]


def asked(dataset: Dataset, n: int, users: int | None = None, name: str = "pairs") -> Candidates:
    """`n` different pairs of the first `users` in random order."""
    size = (users or dataset.n_users) * dataset.n_items
    codes = stream(0, name, n).choice(size, n, replace=False)
    user, item = (codes // dataset.n_items).astype(np.int32), (codes % dataset.n_items).astype(np.int32)
    zero = np.zeros(n, np.float32)
    return Candidates(user, item, np.isin(codes, dataset.train.codes(dataset.n_items)), zero, zero, zero, zero)


def shuffled(pairs: Candidates) -> Candidates:
    return pairs.where(stream(0, "order").permutation(len(pairs)))


@contextlib.contextmanager
def server(faults: str = "", *options: str) -> Iterator[ModelServer]:
    started = start(faults, *options)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        started.process.stdout.close()


def told(at: ModelServer) -> dict[str, Any]:
    """What the server counted; while it seems to be dead it is asked again."""
    while True:
        try:
            return at.told()
        except httpx.TransportError:
            time.sleep(0.05)


def work(store: Path, home: Path, chosen: dict[str, Any], n: int, users: int | None, **how: Any) -> Summary:
    """One run over the pairs, with the answers in a store of its own."""
    dataset = datasets.load(Home.at(home), "demo")
    settings = JudgeSettings(judge="ollama", confidence="none", **chosen)
    judge = how.pop("judge", OllamaJudge)(settings, Path())
    return judges.run(Store.open(Home.at(store)), dataset, asked(dataset, n, users), judge, settings, policy=PATIENT, **how)


def count(store: Home) -> int:
    with Store.open(store).reading() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM judgment").scalar_one()


def faults(home: Home) -> list[Row]:
    """All faults at once, killed twice (2,000 pairs in two views)

    Every fault that a run can survive, by turns; the process is killed -9 after a third and after two thirds of the answers.
    """
    n, rows = 2000, []
    store = Home.at(home.path / "faults")
    with server(FAULTS) as at:
        chosen = {"url": at.url, "workers": 4, "timeout_s": 2.0}
        given = (store.path, home.path, chosen, n, 300)
        began = time.monotonic()
        spawn = multiprocessing.get_context("spawn")
        for share in (1 / 3, 2 / 3):
            job = spawn.Process(target=work, args=given)
            job.start()
            while count(store) < share * 2 * n:
                if not job.is_alive():
                    raise RuntimeError("the job ended before it was killed")
                time.sleep(0.02)
            os.kill(job.pid, signal.SIGKILL)
            job.join()
        last = work(*given)
        taken_s, seen = time.monotonic() - began, told(at)
        third = work(*given)
        after = told(at)
    answers = Store.open(store).judgments("demo")
    right = sum(Model().rate(json.loads(row.prompt))[0] == row.rating for row in answers.itertuples())
    struck = {part.split(":")[0] for part in FAULTS.split(",")} & {kind for kind, times in seen["faults"].items() if times}
    rows.append(Row("right ratings of those wanted", f"{right:,} of {2 * n:,}", "all", right == 2 * n))
    rows.append(Row("pairs left unjudged", f"{last.unjudged}", "0", last.unjudged == 0))
    lost = seen["answered_twice"]
    rows.append(Row("answered questions asked again", f"{lost}", "at most the 8 in flight when killed", lost <= 8))
    rows.append(Row("calls of a third run", f"{after['count'] - seen['count']}", "0", third.asked == 0))
    kinds, total = len(FAULTS.split(",")), sum(seen["faults"].values())
    rows.append(Row("kinds of faults that struck", f"{len(struck)} of {kinds}, {total:,} times in {seen['count']:,} calls", "all",
                    len(struck) == kinds))  # fmt: skip
    rows.append(Row("time", f"{taken_s:.0f} s"))
    return rows


def throughput(home: Home) -> list[Row]:
    """Throughput and re-used prefixes, a server with 4 slots

    The ideal is slots / latency. Shuffled: the same questions in random order. Bare clients: four threads that post one
    request again and again and keep nothing; between two answers of a slot lies what they, HTTP and the server itself need.
    """
    rows = []
    for delay_s, n, required in ((DELAY_S, 2000, 0.95), (0.2, 700, None)):
        share, end, found = _measured(home, delay_s, n, None)
        good = None if required is None else share >= required and end["prefix_reuse"] >= 0.7
        name = f"{1000 * delay_s:.0f} ms an answer, workers found"
        rows.append(Row(name, _shares(share, end), "" if required is None else f"{required:.0%} and .7", good))
        rows.append(Row("number that was found", f"{found}", f"{SLOTS}", found == SLOTS))
        rows.append(Row("reloads of the model", f"{end['reloads']}", "0", end["reloads"] == 0))
    rows.append(Row("50 ms, 4 bare clients", f"{_bare():.1%} of the ideal"))
    for workers in (1, 4, 5, 8):
        share, end, _ = _measured(home, DELAY_S, 150 * min(workers, SLOTS), workers)
        rows.append(Row(f"50 ms, {workers} worker{'s'[: workers > 1]}", _shares(share, end)))
    share, end, _ = _measured(home, DELAY_S, 600, SLOTS, Shuffling)
    return [*rows, Row("50 ms, 4 workers, shuffled", _shares(share, end))]


def _measured(
    home: Home, delay_s: float, n: int, workers: int | None, judge: type[OllamaJudge] = OllamaJudge
) -> tuple[float, dict[str, Any], int]:
    """Share of the ideal, what the server counted, and the workers at the end, for `n` pairs."""
    details: list[dict[str, Any]] = []
    times: list[float] = []

    def watch(state: judges.State) -> None:
        if state.stage == "judging":
            details.append(state.detail)
            times.append(time.monotonic())

    with server("", "--slots", str(SLOTS), "--delay", str(delay_s)) as at, tempfile.TemporaryDirectory() as store:
        work(Path(store), home.path, {"url": at.url, "workers": workers}, n, n // 10, watch=watch, judge=judge)
        end = told(at)
    return 2 * n * delay_s / SLOTS / (times[-1] - times[0]), end, details[-1]["requests at once"]


def _shares(share: float, end: dict[str, Any]) -> str:
    return f"{share:.1%} of the ideal, {end['prefix_reuse']:.2f} of the prompts re-used"


def _bare(calls: int = 250) -> float:
    """Share of the ideal."""
    asked = prompts.user_view("Likes jazz. " * 40, prompts.Item("A title", "Jazz", "A session. " * 40))
    body = {"model": "llama3.1:8b", "messages": asked.messages, "stream": False, "format": prompts.SCHEMA}

    def post(url: str) -> None:
        with httpx.Client(base_url=url, trust_env=False) as to:
            for _ in range(calls):
                to.post("/api/chat", json=body).raise_for_status()

    with server("", "--slots", str(SLOTS), "--delay", str(DELAY_S)) as at, ThreadPoolExecutor(SLOTS) as pool:
        began = time.monotonic()
        list(pool.map(post, [at.url] * SLOTS))
        return calls * DELAY_S / (time.monotonic() - began)


class Shuffling(OllamaJudge):
    """Asks about another pair than the one whose turn it is: the same questions, in random order."""

    def prompt(self, user: int, item: int, view: str, short: bool = False) -> Any:
        return super().prompt(*self._turn(user, item), view, short)

    async def prepare(self, dataset: Dataset, pairs: Candidates) -> None:
        await super().prepare(dataset, pairs)
        mixed = shuffled(pairs)
        codes = zip(pairs.user.tolist(), pairs.item.tolist(), strict=True)
        self._other = dict(zip(codes, zip(mixed.user.tolist(), mixed.item.tolist(), strict=True), strict=True))

    def _turn(self, user: int, item: int) -> tuple[int, int]:
        return self._other[user, item]


class Pressed(threading.Event):
    """A person's stop, and when it came."""

    at = 0.0

    def when_busy(self, server: ModelServer, later_s: float) -> None:
        while told(server)["most_at_once"] < SLOTS:
            time.sleep(0.01)
        time.sleep(later_s)
        self.at = time.monotonic()
        self.set()


def stops(home: Home, trials: int = 8) -> list[Row]:
    """Stopping in the middle (4 requests of 10 s each at work)

    From the stop until the run has returned, and until the server has seen all hang up.
    """
    returned, freed = [], []
    for trial in range(trials):
        with server("", "--slots", str(SLOTS), "--delay", "10") as at:
            pressed = Pressed()
            press = threading.Thread(target=pressed.when_busy, args=(at, 0.1 * trial / trials))
            press.start()
            chosen = {"url": at.url, "workers": SLOTS}
            work(home.path / f"stop-{trial}", home.path, chosen, 500, 50, should_stop=pressed.is_set)
            returned.append(time.monotonic() - pressed.at)
            press.join()
            while told(at)["cancelled"] < SLOTS:
                time.sleep(0.002)
            freed.append(time.monotonic() - pressed.at)
    return [
        Row(f"until {what}", f"{statistics.median(taken):.3f} s (longest of {trials}: {max(taken):.3f} s)",
            f"{STOP_S:g} s", max(taken) < STOP_S)
        for what, taken in (("the run has returned", returned), ("the server's slots are free", freed))
    ]  # fmt: skip


class Instant(OllamaJudge):
    """The Ollama judge without a server: what is left is the runner and the store."""

    async def check(self) -> Health:
        return Health(True, "no server")

    async def _get_ready(self, window: int) -> None:
        self.digest = "none"

    async def judge(self, request: Request) -> Reply:
        return Reply("High", "because", "{}", cost=Cost(500, 400, 50, 0.0, 0.01, 0.01))


def peak(home: Path, n: int, url: str | None) -> dict[str, float]:
    """In a fresh process: MB before `n` pairs are judged and at most meanwhile, MB of the store, pairs a second."""
    store = Home.at(home / f"memory-{n}-{bool(url)}")
    dataset = datasets.load(Home.at(home), "demo")
    asked(dataset, 100)
    _peak()  # loading took more
    before = _peak()
    stages: dict[str, float] = {}

    def watch(state: judges.State) -> None:
        stages.setdefault(state.stage, time.monotonic())

    chosen = {"url": url, "workers": 4}
    began = time.monotonic()
    summary = work(store.path, home, chosen, n, None, watch=watch, judge=OllamaJudge if url else Instant)
    ended = time.monotonic()
    if summary.unjudged:
        raise RuntimeError(f"{summary.unjudged} pairs are unjudged")
    size = sum(path.stat().st_size for path in store.path.glob("winnow.db*")) / 1e6
    judging = ended - stages["judging"]
    return {"peak": _peak(), "before": before, "store": size, "rate": n / judging, "ready": stages["judging"] - began}


def _peak() -> float:
    """MB at most since the last call where Linux tells it, since the start elsewhere."""
    try:
        status = Path("/proc/self/status").read_text()
        Path("/proc/self/clear_refs").write_text("5")
        return int(status.split("VmHWM:")[1].split()[0]) / 1e3
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def memory(home: Home) -> list[Row]:
    """Memory and speed by the number of pairs, each in a fresh process

    Without a server (answers cost nothing, two processes side by side), and through HTTP with a server that answers at once.
    """
    sizes, rows = (100_000, 30_000, 10_000), []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, max_tasks_per_child=1) as pool:
        running = {n: pool.submit(peak, home.path, n, None) for n in sizes}
        found = {n: running[n].result() for n in sizes}
    with server("", "--forget", "--slots", "8") as at:
        for n in (1000, 4000):
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                found[n] = pool.submit(peak, home.path, n, at.url).result()
    for n in sorted(found):
        of = found[n]
        how = "through HTTP" if n < 10_000 else "without a server"
        text = f"{of['peak']:.0f} MB at most ({of['before']:.0f} before), store {of['store']:.0f} MB"
        rows.append(Row(f"{n:,} pairs, {how}", f"{text}, {of['ready']:.0f} s to the first question, {of['rate']:.0f} pairs/s"))
    more = found[100_000]["peak"] - found[10_000]["peak"]
    rows.append(Row("100,000 pairs instead of 10,000", f"{more:.0f} MB more", "40 MB at most", more <= 40))
    more = found[4000]["peak"] - found[1000]["peak"]
    rows.append(Row("4,000 pairs through HTTP instead of 1,000", f"{more:.0f} MB more", "15 MB at most", more <= 15))
    return rows


def two_servers(home: Home) -> list[Row]:
    """Two servers, one of which dies in the middle and comes back (1,000 pairs in two views)

    Moved: users of whose views at least one was answered by another server than the one that rendezvous hashing gives them.
    """
    n, users = 1000, 100
    with server("", "--delay", "0.02") as steady, server("down:400:3", "--delay", "0.02") as shaky:
        chosen = {"url": f"{steady.url} {shaky.url}", "workers": 4}
        store = Home.at(home.path / "two")
        summary = work(store.path, home.path, chosen, n, users)
        calls = {"steady": told(steady), "shaky": told(shaky)}
    answers = Store.open(store).judgments("demo", texts=False)
    lanes = (steady.url, shaky.url)
    own = np.array([lane_of(user, lanes) for user in answers["user_id"]])
    moved = answers["user_id"][(answers["server"] != own).to_numpy()].nunique() / answers["user_id"].nunique()
    torn = (answers.groupby(["user_id", "view"])["server"].nunique() > 1).sum()
    twice = sum(each["answered_twice"] for each in calls.values())
    back = (answers["server"] == shaky.url).sum()
    return [
        Row("pairs left unjudged", f"{summary.unjudged}", "0", summary.unjudged == 0),
        Row("answered questions asked again", f"{twice}", "0", twice == 0),
        Row("users that moved", f"{moved:.0%}", "half at most", bool(moved <= 0.5)),
        Row("a user's view on two servers", f"{torn} of {2 * users}", "5 % at most", bool(torn <= 0.05 * 2 * users)),
        Row("answers of the one that died at its 400th call", f"{back:,}", "more than 400", bool(back > 400)),
    ]


def write(tables: dict[str, list[Row]], taken_s: float) -> None:
    """benchmarks/results/judging.md and .json."""
    names = f"Python {platform.python_version()}, httpx {httpx.__version__}, numpy {np.__version__}"
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    lines = ["# The judges' runner", ""]
    lines.append(f"`python -m benchmarks.judging`, {datetime.now(UTC):%Y-%m-%d}, {machine}, {names}, {taken_s:.0f} s.")
    lines += [__doc__.split("\n\n")[1].replace("\n", " ").strip()]
    for name, rows in tables.items():
        lines += ["", f"## {name}", "", "| | measured | required | |", "|---|---|---|---|"]
        lines += [f"| {row.name} | {row.value} | {row.required} | {_said(row.holds)} |" for row in rows]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "judging.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    about = {"machine": machine, "versions": names, "seconds": taken_s, "faults": FAULTS}
    measured = {name: [dataclasses.asdict(row) for row in rows] for name, rows in tables.items()}
    write_json(RESULTS / "judging.json", about | {"tables": measured})


def _said(holds: bool | None) -> str:
    return "" if holds is None else "yes" if holds else "**no**"


if __name__ == "__main__":
    main()
