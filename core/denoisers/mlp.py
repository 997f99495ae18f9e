"""The small network that some denoisers learn beside the backbone."""

import numpy as np
import torch
from torch import nn


def mlp(rng: np.random.Generator, *sizes: int) -> nn.Sequential:
    """Linear layers of these sizes with LeakyReLU between them: (n, sizes[0]) -> (n, sizes[-1]).

    Xavier-uniform weights and zero biases, the same on every device.
    """
    parts: list[nn.Module] = []
    for size_in, size_out in zip(sizes[:-1], sizes[1:], strict=True):
        bound = (6 / (size_in + size_out)) ** 0.5
        linear = nn.Linear(size_in, size_out)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(rng.uniform(-bound, bound, (size_out, size_in)).astype(np.float32)))
            linear.bias.zero_()
        parts += [linear, nn.LeakyReLU()]
    return nn.Sequential(*parts[:-1])
