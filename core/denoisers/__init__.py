"""What is done about noise while training. A denoiser changes three things only: edges, negatives, loss terms.

So every denoiser works with every backbone, and the training loop knows none of them by name.
"""

from core.denoisers import contrast, llmhni, negatives, reweighting, text
from core.denoisers.base import DENOISERS, Batch, Denoiser, final_vectors

__all__ = [
    "DENOISERS",
    "Batch",
    "Denoiser",
    "contrast",
    "final_vectors",
    "llmhni",
    "negatives",
    "reweighting",
    "text",
]
