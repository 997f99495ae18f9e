"""Tables of quality: Winnow's method, its parts, its baselines and references, on real data (`python -m benchmarks.quality`)."""
