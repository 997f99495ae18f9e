"""Slow measurements, one command each; `make bench` runs them all and rewrites benchmarks/results/."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in core.__main__
