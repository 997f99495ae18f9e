"""How fast every page answers at 1 000 000 clicks, and how much it sends: `python -m benchmarks.pages` (`make bench-pages`).

The dataset is benchmarks.million, made once and kept. A real server and a real Chromium, both on this machine: every page is
opened cold, then again and again through the menu, as a person does, then after one decision each, which makes all that is
known of labels stale; then what people do on the pages is done. A time runs from the click, or key, until the script has ended
and the page's own words and charts are on the screen. Bytes are what the browser has received by then: messages of the
websocket, unpacked, and files by HTTP, but for the app's own scripts and fonts, which a browser loads once.
"""

import argparse
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from playwright.sync_api import Page, sync_playwright

from app.navigation import PAGES
from benchmarks import million
from core import datasets
from core.artifacts import ROOT, Home, write_json
from core.records import Label
from core.rng import stream
from core.store import Store
from tests.browser.browsing import served

RESULTS = ROOT / "benchmarks" / "results"
KEPT = Path(tempfile.gettempdir()) / "winnow-million"
LIMIT_S, LIMIT_MB = 1.0, 5.0
PATIENCE_MS = 120_000
WHO = "bench"
STATES = ("cold", "warm", "after a decision")
WORDS = {
    "home": "Judged pairs",
    "explore": "Health",
    "pair": "How the model sees it",
    "files": "Read in",
    "train": "All trainings of this dataset",
    "losses": "Clicks to look at",
    "embeddings": "Colour by",
    "method": "How it works",
    "board": "Freeze as a version",
    "review": "left of this session",
    "preview": "edges are changed, by whom",
    "compare": "Winners and losers",
}
"""Words far down on a page that must be seen, beside its heading, its charts and its last line, which says what comes next."""
OUTLINE = ((0.35, 0.3), (0.7, 0.35), (0.65, 0.75), (0.4, 0.7), (0.35, 0.32))
"""Corners as shares of the drawing area."""

WATCH = """(kind) => {
  window.watched?.observer.disconnect();
  const app = document.querySelector("[data-testid=stApp]");
  const now = window.watched = { start: null, ran: false };
  for (const one of [kind, "keydown"])
    document.addEventListener(one, () => { now.start ??= performance.now(); }, { capture: true, once: true });
  now.observer = new MutationObserver(() => { now.ran ||= app.getAttribute("data-test-script-state") !== "notRunning"; });
  now.observer.observe(app, { attributes: true });
}"""
"""Notes when the person acts, and whether a script has run since."""

READY = """async ([title, words, patience]) => {
  const seen = (one) => !!one && one.getClientRects().length > 0;
  const all = (chosen) => [...document.querySelectorAll(chosen)];
  const complete = () => document.querySelector("[data-testid=stApp]")?.getAttribute("data-test-script-state") === "notRunning"
    && (!window.watched || window.watched.ran)
    && all("h1").some((one) => one.textContent.trim() === title) && seen(document.querySelector(".st-key-next_step"))
    && document.querySelector("[data-testid=stMain]").innerText.includes(words)
    && all("[data-testid=stPlotlyChart]").every((one) => !seen(one) || one.querySelector(".main-svg"))
    && !all("[data-testid=stSkeleton]").some(seen);
  const limit = performance.now() + patience;
  for (let since = null; performance.now() < limit; await new Promise((go) => setTimeout(go, 20))) {
    if (!complete()) since = null;
    else if (since === null) since = performance.now();
    else if (performance.now() - since > 200) return (since - (window.watched?.start ?? 0)) / 1000;
  }
  return null;
}"""
"""Seconds from the action, or from the opening of the address, until everything was there for good."""


@dataclass(frozen=True)
class Took:
    seconds: float
    megabytes: float


class Visitor:
    """A person in a browser, with a clock and a meter of what is received."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.received, self.once = 0, 0  # bytes
        self._static: set[str] = set()
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.webSocketFrameReceived", self._message)
        session.on("Network.responseReceived", self._answer)
        session.on("Network.loadingFinished", self._loaded)

    def _message(self, event: dict[str, Any]) -> None:
        payload, binary = event["response"]["payloadData"], event["response"]["opcode"] == 2
        self.received += len(payload) * 3 // 4 if binary else len(payload)  # binary ones come as base64

    def _answer(self, event: dict[str, Any]) -> None:
        if urlsplit(event["response"]["url"]).path.startswith("/static/"):
            self._static.add(event["requestId"])

    def _loaded(self, event: dict[str, Any]) -> None:
        size = int(event["encodedDataLength"])
        if event["requestId"] in self._static:
            self.once += size
        else:
            self.received += size

    def open(self, name: str, **address: str) -> Took:
        """By its address, as after a reload: a new session."""
        query = "&".join(f"{key}={value}" for key, value in {"dataset": million.NAME, **address}.items())
        before = self.received
        self.page.goto(f"{self.url}/{'' if name == 'home' else name}?{query}")
        return self._until(name, before)

    def visit(self, name: str) -> Took:
        """Through the menu."""
        link = self.page.locator(".st-key-menu").get_by_role("link", name=PAGES[name].title, exact=True)
        return self.do(name, link.click)

    def do(self, name: str, action: Callable[[], object], kind: str = "pointerdown", words: str = "") -> Took:
        """Anything on a page after which that of `name` is there, with other words where those are given; the clock starts
        with the event `kind`, or a key."""
        self.page.evaluate(WATCH, kind)
        before = self.received
        action()
        return self._until(name, before, words)

    def _until(self, name: str, before: int, words: str = "") -> Took:
        title, words = "Winnow" if name == "home" else PAGES[name].title, words or WORDS[name]
        seconds = self.page.evaluate(READY, [title, words, PATIENCE_MS])
        if seconds is None:
            raise SystemExit(f"{title} did not come: no heading, no {words!r}, an undrawn chart, or no run of its script.")
        return Took(seconds, (self.received - before) / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=KEPT, help="where the dataset is made and kept")
    parser.add_argument("--rounds", type=int, default=12, help="warm visits of each page")
    parser.add_argument("--after", type=int, default=5, help="visits of each page after a decision, and times of each action")
    parser.add_argument("--pages", default=",".join(PAGES), help="only these, with commas between; then nothing is written")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    home = Home.at(given.home)
    million.fill(home, given.seed)
    names = [name for name in PAGES if name in given.pages.split(",")]
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, served(home, Path(folder) / "log") as url:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        view = browser.new_context(viewport={"width": 1440, "height": 1000})
        result = measure(home, Visitor(view.new_page(), url), names, given)
        result["machine"] = machine() | {"chromium": browser.version}
        browser.close()
    result |= {"load": [*loads, os.getloadavg()[0]], "seed": given.seed, "rounds": given.rounds, "after": given.after}
    text = told(result)
    if len(names) == len(PAGES):
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "pages.md").write_text(text, encoding="utf-8")
        write_json(RESULTS / "pages.json", result)
    print(text)  # noqa: T201  a command's output


def measure(home: Home, visitor: Visitor, names: list[str], given: argparse.Namespace) -> dict[str, Any]:
    """{"pages": {name: {state: [Took as a dictionary]}}, "actions": {name: ...}, "once [MB]": of the app's own files}."""
    decide = decisions(home, given.seed)
    found: dict[str, dict[str, list[Took]]] = {name: {state: [] for state in STATES} for name in names}
    user, item = next(decide)
    for name in names:  # the menu links to the pair that was seen last, so Pair is opened by an address first
        own = {"user": user, "item": item} if name == "pair" else {}
        by_address = name in ("pair", names[0])
        found[name]["cold"].append(visitor.open(name, **own) if by_address else visitor.visit(name))
    for _ in range(given.rounds):
        for name in names:
            found[name]["warm"].append(visitor.visit(name))
    for _ in range(given.after):
        for name in names:
            next(decide)
            found[name]["after a decision"].append(visitor.visit(name))
    doing = {what: took for what, took in actions(visitor, names, given.after)}
    pages = {name: {state: [asdict(one) for one in took] for state, took in states.items()} for name, states in found.items()}
    done = {what: [asdict(one) for one in took] for what, took in doing.items()}
    return {"pages": pages, "actions": done, "once [MB]": visitor.once / 1e6}


def decisions(home: Home, seed: int) -> Iterator[tuple[str, str]]:
    """Each step decides about one more judged click, against its label, and gives the pair."""
    data, store = datasets.load(home, million.NAME), Store.open(home)
    labels = store.labels(data)
    rows = stream(seed, "bench pages", len(store.standing(million.NAME))).permutation(np.flatnonzero(labels.observed))
    for row in rows:
        pair = str(data.user_ids[labels.user[row]]), str(data.item_ids[labels.item[row]])
        answer = "yes" if labels.label[row] == Label.NOISY_POSITIVE else "no"
        store.decide(million.NAME, [pair], answer, annotator=WHO)
        yield pair


def actions(visitor: Visitor, names: list[str], times: int) -> Iterator[tuple[str, list[Took]]]:
    """What people do on the pages, as far as those are among `names`."""
    page = visitor.page

    def repeated(name: str, act: Callable[[], object], kind: str = "pointerdown", words: str = "") -> list[Took]:
        return [visitor.do(name, act, kind, words) for _ in range(times)]

    def turn(key: str) -> Callable[[], None]:
        return page.locator(f".st-key-{key}").get_by_role("button", name="Next page").click

    if "losses" in names:
        visitor.visit("losses")
        slider = page.locator(".st-key-drop input[type=range], .st-key-drop [role=slider]").first
        yield "Losses: the line moved", repeated("losses", lambda: slider.press("ArrowRight"))
        yield "Losses: the list turned", repeated("losses", turn("losses_page"))
    if "pair" in names and "losses" in names:
        visitor.do("pair", page.locator(".st-key-row_losses_0 a").click)
        yield "Pair: the next one", repeated("pair", page.locator(".st-key-next_pair button").click)
        decided = []
        for _ in range(times):
            visitor.do("pair", page.locator(".st-key-next_pair button").click)
            decided.append(visitor.do("pair", page.locator(".st-key-decide_yes button").first.click))
        yield "Pair: a decision", decided
    if "explore" in names:
        visitor.visit("explore")
        lists = (("Users", "user_page", "the most active first"), ("Interactions", "interactions_page", "Order"))
        for tab, key, words in lists:
            visitor.do("explore", page.get_by_role("tab", name=tab).click, words=words)
            yield f"Explore: the list of {tab.lower()} turned", repeated("explore", turn(key), words=words)
        visitor.do("explore", page.get_by_role("tab", name="Overview").click)
    if "board" in names:
        visitor.visit("board")
        yield "Judge: the list turned", repeated("board", turn("judged_page"))
    if "embeddings" in names:
        visitor.visit("embeddings")
        yield "Embeddings: an outline drawn", repeated("embeddings", lambda: outline(page), "pointerup")
    if "review" in names:
        visitor.visit("review")
        page.get_by_text("left of this session").click()  # so that no field has the keys
        yield "Review: a key", repeated("review", lambda: page.keyboard.press("2"))


def outline(page: Page) -> None:
    """A lasso by mouse on the first chart."""
    area = page.locator(".js-plotly-plot .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in OUTLINE]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def machine() -> dict[str, Any]:
    """What it was measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    packages = ("streamlit", "plotly", "numpy", "pandas")
    return {"cpu": processor, "cores": os.cpu_count(), "python": platform.python_version()} | {n: version(n) for n in packages}


def told(result: dict[str, Any]) -> str:
    """The result as markdown, with a verdict on every line."""
    about, load = result["machine"], " to ".join(f"{one:.1f}" for one in result["load"])
    versions = ", ".join(f"{name} {about[name]}" for name in ("python", "streamlit", "plotly", "chromium"))
    lines = [
        "# Pages at 1 000 000 clicks",
        "",
        f"`python -m benchmarks.pages --seed {result['seed']}`, {datetime.now(UTC):%Y-%m-%d}, {about['cpu']}, "
        f"{about['cores']} cores, {versions}. Load of the machine {load}, the benchmark's own included. {million.USERS:,} users, "
        f"{million.ITEMS:,} items, {million.CLICKS:,} clicks of which 1 000 000 are for training, {million.JUDGED:,} judged "
        "pairs, two trainings, a map of all clicks; made by the app's own steps.",
        "",
        "From the click in the menu until the script has ended and the page's words and charts are on the screen, by server and "
        f"browser on the same machine, without a graphics card. Warm: {result['rounds']} visits; after a decision: "
        f"{result['after']} visits, each the first after one more decision. MB: the most that one visit received, messages "
        f"unpacked; the app's own scripts and fonts ({result['once [MB]']:.1f} MB, once) are left out. Asked for: p95 under "
        f"{LIMIT_S:g} s warm, and under {LIMIT_MB:g} MB.",
        "",
        "| page | cold [s] | warm, median [s] | warm, p95 [s] | MB | kept | after a decision, median [s] | slowest [s] |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, states in result["pages"].items():
        (cold, _), (warm, most), (after, _) = (_figures(states[state]) for state in STATES)
        lines.append(
            f"| {PAGES[name].title} | {cold[0]:.2f} | {warm[0]:.2f} | {warm[1]:.2f} | {most:.2f} | {_verdict(warm[1], most)} "
            f"| {after[0]:.2f} | {after[2]:.2f} |"
        )
    lines += ["", "| action | median [s] | p95 [s] | MB | kept |", "|---|---|---|---|---|"]
    for what, took in result["actions"].items():
        seconds, most = _figures(took)
        lines.append(f"| {what} | {seconds[0]:.2f} | {seconds[1]:.2f} | {most:.2f} | {_verdict(seconds[1], most)} |")
    return "\n".join([*lines, ""])


def _figures(took: list[dict[str, float]]) -> tuple[tuple[float, float, float], float]:
    """Median, 95th percentile and most of the seconds, and most of the megabytes."""
    seconds = np.array([one["seconds"] for one in took])
    middle, high = np.quantile(seconds, (0.5, 0.95))
    return (float(middle), float(high), float(seconds.max())), max(one["megabytes"] for one in took)


def _verdict(seconds: float, megabytes: float) -> str:
    broken = [f"{unit} no" for unit, value, limit in (("s", seconds, LIMIT_S), ("MB", megabytes, LIMIT_MB)) if value > limit]
    return ", ".join(broken) or "yes"


if __name__ == "__main__":
    main()
