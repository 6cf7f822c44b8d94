"""Muon, an optimiser for layers whose weights are matrices: a step is equally large in all directions of a layer.

The momentum of a layer's gradient is replaced by the nearest matrix whose singular values are all equal. The filters of
a convolution form a matrix with one row per filter. Biases and small layers are left to AdamW. In one short comparison
on the network for many microscopes it needed about a third of AdamW's steps.

`torch.optim.Muon` takes the same steps, but it refuses the four-dimensional filters of convolutions, always computes in
bfloat16 and leaves biases to a second optimiser. Here all parameters share one optimiser and one state, which a
checkpoint holds.

References
----------
.. [1] Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
   https://kellerjordan.github.io/posts/muon.
.. [2] Liu et al., "Muon is scalable for LLM training", 2025, arXiv:2502.16982. The size of a step that suits rates of
   Adam.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

#: Coefficients of the Newton-Schulz iteration, a polynomial of fifth degree.
NEWTON_SCHULZ_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
#: Iterations, after which singular values are near 1.
NEWTON_SCHULZ_STEPS = 5
#: Root mean square of a step's elements at a learning rate of 1, as with Adam.
STEP_SIZE = 0.2
#: A layer with fewer outputs, or fewer inputs to each, is left to AdamW.
MIN_MATRIX_SIDE = 32


class Muon(torch.optim.Optimizer):
    """Muon for layers whose weights are matrices, AdamW for the rest.

    Parameters
    ----------
    parameters : iterable of Parameter
    lr : float
        Learning rate of both.
    momentum : float
        Share of the momentum that every step keeps.
    betas : (float, float)
        Of AdamW.
    weight_decay : float
        Of both.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
    ) -> None:
        every = list(parameters)
        layers = [p for p in every if is_matrix(p)]
        rest = [p for p in every if not is_matrix(p)]
        groups = [{"params": layers, "matrices": True}, {"params": rest, "matrices": False}]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure is ever called
        """Take one step."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.mul_(1 - group["lr"] * group["weight_decay"])
                direction = self._matrix_step if group["matrices"] else self._adam_step
                p.add_(direction(self.state[p], p.grad, group), alpha=-group["lr"])

    def _matrix_step(self, state: dict[str, Tensor], gradient: Tensor, group: dict[str, Any]) -> Tensor:
        mean = state.setdefault("mean", torch.zeros_like(gradient))
        mean.lerp_(gradient, 1 - group["momentum"])
        matrix = gradient.lerp(mean, group["momentum"]).flatten(1)
        return (orthogonal(matrix) * STEP_SIZE * max(matrix.shape) ** 0.5).view_as(gradient)

    def _adam_step(self, state: dict[str, Tensor], gradient: Tensor, group: dict[str, Any]) -> Tensor:
        keep, keep_square = group["betas"]
        if not state:
            state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
            state["steps"] = torch.zeros(())
        state["steps"] += 1
        steps = int(state["steps"])
        state["mean"].lerp_(gradient, 1 - keep)
        state["square"].lerp_(gradient.square(), 1 - keep_square)
        size = (state["square"] / (1 - keep_square**steps)).sqrt() + 1e-8
        return state["mean"] / (1 - keep**steps) / size


def is_matrix(p: Tensor) -> bool:
    """Return whether a layer's weights are a large enough matrix, or filters (of 1 to 3 dimensions) that form one."""
    return p.ndim >= 2 and p.shape[0] >= MIN_MATRIX_SIDE and p[0].numel() >= MIN_MATRIX_SIDE


def orthogonal(matrix: Tensor) -> Tensor:
    """Approximate the nearest matrix whose singular values are all 1, by a Newton-Schulz iteration; (m, n) to same."""
    a, b, c = NEWTON_SCHULZ_COEFFICIENTS
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T
