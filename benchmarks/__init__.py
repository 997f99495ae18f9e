"""Slow measurements, one command each; `make bench` runs them all and rewrites benchmarks/results/."""
