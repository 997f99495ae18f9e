"""What the tests of the pages share beside fixtures."""

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Node

from core import jobs
from core.artifacts import Home

NAME = "demo"
TRAIN = {"epochs": 6, "min_epochs": 2, "eval_every": 2, "dim": 8, "layers": 1, "batch_size": 512, "device": "cpu"}


def carry_out(home: Home, kind: str, **settings: object) -> str:
    """A job, done in this process; its run id."""
    return jobs.work(home, jobs.create(home, kind, NAME, settings).id).id


def sound(app: AppTest) -> AppTest:
    assert not app.exception, app.exception[0].message
    crashes = [error.value for error in app.error if "went wrong" in error.value]
    assert not crashes, crashes
    return app


def said(app: AppTest) -> str:
    """All words on a page."""
    kinds = (app.title, app.header, app.markdown, app.caption, app.text, app.info, app.warning, app.error, app.success)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def components(app: AppTest, name: str) -> list[Node]:
    """The components of our own of this name on a page, as they are sent to the browser."""
    return [one for one in app.get("bidi_component") if one.proto.component_name == name]
