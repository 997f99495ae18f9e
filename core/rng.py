"""The only source of randomness: independent named streams from one seed.

Each epoch, step and purpose has a stream of its own, so a resumed run needs no saved generator state to go on as if
it had never stopped, and adding a consumer of randomness changes no other.
"""

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that depends on `seed` and `names` alone: `stream(0, "negatives", epoch)`."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype=np.uint32).tolist()])
