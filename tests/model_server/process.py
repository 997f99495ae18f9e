"""The server as a process that a test holds."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import httpx

from core.artifacts import ROOT


@dataclass(frozen=True)
class ModelServer:
    """A running server."""

    url: str
    process: subprocess.Popen

    def told(self) -> dict[str, Any]:
        """Everything that the server counted."""
        return httpx.get(f"{self.url}/_test/calls", trust_env=False).json()

    def calls(self) -> list[dict[str, Any]]:
        """The calls for an answer, in their order: n, at, fault, key, request, answered."""
        return self.told()["calls"]

    def change_faults(self, faults: str) -> None:
        httpx.post(f"{self.url}/_test/faults", json={"faults": faults}, trust_env=False).raise_for_status()

    def reset(self) -> None:
        httpx.post(f"{self.url}/_test/reset", json={}, trust_env=False).raise_for_status()


def start(faults: str = "", *options: str) -> ModelServer:
    """Start one; the caller kills its process."""
    command = [sys.executable, "-m", "tests.model_server", "--faults", faults, *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    port = process.stdout.readline().strip()
    if not port:
        raise RuntimeError(f"the model server did not start: {' '.join(command)}")
    return ModelServer(f"http://127.0.0.1:{port}", process)
