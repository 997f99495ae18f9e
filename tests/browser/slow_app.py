"""The app with a Review page that takes a second longer every time."""

import runpy
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "app"), str(ROOT)]

from app import queues  # noqa: E402

if not hasattr(queues, "in_time"):
    queues.in_time = queues.session

    def late(data):
        time.sleep(1)
        return queues.in_time(data)

    queues.session = late

runpy.run_path(str(ROOT / "app" / "main.py"), run_name="__main__")
