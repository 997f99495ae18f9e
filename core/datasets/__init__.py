"""Datasets: imported from many formats with a validation report, invented for a demo, loaded, listed, removed."""

from core.datasets.demo import import_demo
from core.datasets.disk import DatasetInfo, import_report, info, listing, load, remove
from core.datasets.formats import FORMATS
from core.datasets.importing import Draft, Peek, commit, examine, import_path, peek
from core.datasets.report import ImportReport, Problem

__all__ = [
    "FORMATS",
    "DatasetInfo",
    "Draft",
    "ImportReport",
    "Peek",
    "Problem",
    "commit",
    "examine",
    "import_demo",
    "import_path",
    "import_report",
    "info",
    "listing",
    "load",
    "peek",
    "remove",
]
