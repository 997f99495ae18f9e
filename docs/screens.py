"""Pictures of every page, light and dark, from the demo dataset after one turn of the loop: `make screens`.

They are made by the app itself in Chromium, from an empty home: nobody has touched them up.
"""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from core import datasets, jobs, pipeline
from core.artifacts import ROOT, Home
from core.settings import DemoSettings
from core.store import Store
from tests.browser.browsing import served, settled

DEMO = "demo"
PAGES = ("home", "explore", "train", "losses", "embeddings", "board", "pair", "review", "preview", "compare", "method", "files")
WIDTH, HEIGHT = 1280, 960


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home.at(Path(folder) / "home")
        more = fill(home)
        with sync_playwright() as playwright, served(home, Path(folder) / "server.log") as url:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
            for scheme in ("light", "dark"):
                view = {"width": WIDTH, "height": HEIGHT}
                page = browser.new_context(viewport=view, color_scheme=scheme).new_page()
                for name in PAGES:
                    shoot(page, f"{url}/{'' if name == 'home' else name}?dataset={DEMO}{more.get(name, '')}")
                    keep(page.screenshot(), ROOT / "docs" / f"{name}-{scheme}.png")
            browser.close()


def fill(home: Home) -> dict[str, str]:
    """One turn of the loop, with some answers of people; what the addresses of some pages name: a pair that both views disagree
    about, and the training that has not seen the labels, on which Preview has something to move."""
    datasets.import_demo(home, DemoSettings(), DEMO)
    plain = carry_out(home, "train")
    carry_out(home, "candidates", budget=1500)
    carry_out(home, "judge")
    store = Store.open(home)
    views = store.judgments(DEMO, texts=False).pivot(index=["user_id", "item_id"], columns="view", values="rating")
    agreed = views[(views["user"] == "Low") & (views["item"] == "Low")].index[:40]
    store.decide(DEMO, list(agreed), "no", annotator="ada", reason="misclick", saw_judge=True)
    known = views[(views["user"] == "High") & (views["item"] == "High")].index[:25]
    store.decide(DEMO, list(known), "yes", annotator="ada", saw_judge=True)
    store.draw(datasets.load(home, DEMO), size=96, annotator="ada", seed=0)
    pipeline.freeze(home, DEMO, annotator="ada", note="the first forty misclicks")
    carry_out(home, "train", labels="v1")
    carry_out(home, "project", of="items")
    user_id, item_id = views[(views["user"] == "High") & (views["item"] == "Low")].index[0]
    return {"pair": f"&user={user_id}&item={item_id}", "preview": f"&run={plain}"}


def carry_out(home: Home, kind: str, **settings: object) -> str:
    """A job, done in this process; its run id."""
    return jobs.work(home, jobs.create(home, kind, DEMO, settings).id).id


def shoot(page: Page, address: str) -> None:
    page.goto(address)
    settled(page)
    page.wait_for_timeout(2500)  # charts draw themselves after the script has run


def keep(picture: bytes, path: Path) -> None:
    """With 256 colours: a third of the size, and nobody sees the difference."""
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
