"""Every setting of Winnow, described once: the CLI's options, the app's forms and the run manifests come from here."""

from core.settings.base import ACCESS, ReadBy, Settings, Unset, marked, told, unread
from core.settings.datasets import DemoSettings, ExportSettings, ImportSettings, InjectSettings
from core.settings.encoders import EncoderSettings
from core.settings.judging import AgainSettings, CandidateSettings, JudgeSettings
from core.settings.presets import PRESET_MEANS, TRAIN_PRESETS, preset_of
from core.settings.training import ReferenceSettings, TrainSettings, read_by
from core.settings.views import CompareSettings, ProjectSettings

__all__ = [
    "AgainSettings",
    "ACCESS",
    "CandidateSettings",
    "CompareSettings",
    "DemoSettings",
    "EncoderSettings",
    "ExportSettings",
    "ImportSettings",
    "InjectSettings",
    "JudgeSettings",
    "PRESET_MEANS",
    "ProjectSettings",
    "ReadBy",
    "ReferenceSettings",
    "Settings",
    "TRAIN_PRESETS",
    "TrainSettings",
    "Unset",
    "marked",
    "preset_of",
    "read_by",
    "told",
    "unread",
]
