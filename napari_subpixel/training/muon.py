"""Muon, an optimiser for layers that are matrices: every step is as large in all the directions that a layer knows.

The momentum of a layer's gradient is replaced by the nearest matrix whose singular values are all alike. The filters of
a convolution count as a matrix with a row for each. What is no such matrix, biases and small layers, is left to AdamW.
In one short comparison on the network for many microscopes it needed about a third of AdamW's steps.

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

#: Coefficients of the Newton-Schulz iteration: in five steps singular values come near 1.
QUINTIC, STEPS = (3.4445, -4.7750, 2.0315), 5
#: Root mean square of a step's elements, as Adam's have them.
STEP_SIZE = 0.2
#: A layer with fewer outputs, or fewer inputs to each, is no matrix worth the name.
LEAST = 32


class Muon(torch.optim.Optimizer):
    """Muon for layers that are matrices, AdamW for the rest.

    Parameters
    ----------
    parameters : iterable of Parameter
    lr : float
        Of both.
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
    """Say whether a layer's weights are a matrix, or filters (of 1 to 3 dimensions) that make one, large enough."""
    return p.ndim >= 2 and p.shape[0] >= LEAST and p[0].numel() >= LEAST


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix whose singular values are all 1, by a Newton-Schulz iteration."""
    a, b, c = QUINTIC
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T
