"""Judge: the record to take away, and recorded judgments to replay."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from streamlit.testing.v1 import AppTest

from app import records
from core import datasets, jobs
from core.artifacts import Home
from core.judges import trail
from core.store import Store
from tests.pages.helpers import NAME, said, sound

Open = Callable[..., AppTest]


def test_the_record_is_there_once_something_is_judged(ready: Home, open_page: Open) -> None:
    assert "Download the record" in [button.label for button in open_page("board").get("download_button")]


def test_the_file_is_the_record(ready: Home, tmp_path: Path) -> None:
    data = datasets.load(ready, NAME)
    trail.write(Store.open(ready), data, tmp_path / "record.csv")
    assert records.csv_of(ready, data) == (tmp_path / "record.csv").read_bytes()


def test_replayed_answers_say_so(ready: Home, open_page: Open, tmp_path: Path) -> None:
    rows = Store.open(ready).judgments(NAME)
    path = tmp_path / "recorded.csv"
    pd.DataFrame(rows)[["user_id", "item_id", "view", "rating", "analysis"]].assign(model="someone").to_csv(path, index=False)
    page = open_page("board")
    page.selectbox(key="judge_judge").set_value("replay").run()
    assert "needs a file" in page.error[0].value
    page.text_input(key="judge_file").set_value(str(path)).run()
    assert "marked as replayed" in said(sound(page))
    jobs.work(ready, jobs.create(ready, "judge", NAME, {"judge": "replay", "file": str(path)}).id)
    pair = rows.iloc[0]
    shown = said(open_page("pair", dataset=NAME, user=pair["user_id"], item=pair["item_id"]))
    assert "language model someone" in shown
    assert "replayed" in shown
