"""One training iteration with our losses, and with the full double sum and the sequential recursion, side by side.

Both sides train the same network on the same batches of the size that the paper uses (16 crops of 26 x 26) and differ
in nothing but the losses.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from common import machine, markdown
from torch import Tensor

from napari_subpixel.models.pixel_network import PointNetwork
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.training.counting import counting
from napari_subpixel.training.heatmap_matching import heatmap_matching
from napari_subpixel.training.simulated_samples import Batch, SimulatedSamples

KERNEL_PX, WEIGHT, ITERATIONS, WARM_UP = 0.2, 0.1, 5, 1


def full_double_sum(offsets: Tensor, p: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Eq. 4 over every pair of points of each image, differentiated by autograd; shape (B,)."""
    height, width = offsets.shape[-2:]
    centres = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    losses = []
    for r, q, t, w in zip((offsets + centres).movedim(2, -1).flatten(1, -2), p.flatten(1), truth, weights[..., 0],
                          strict=True):  # fmt: skip
        loss = w @ pair_kernel(t, t) @ w + q @ pair_kernel(r, r) @ q - 2 * q @ pair_kernel(r, t) @ w
        losses.append(math.pi * KERNEL_PX**2 / 2 * loss)
    return torch.stack(losses)


def pair_kernel(a: Tensor, b: Tensor) -> Tensor:
    """Kernel of all pairs, shape (len(a), len(b))."""
    return torch.exp(-(a[:, None] - b[None]).square().sum(dim=-1) / (2 * KERNEL_PX**2))


def recursion(p: Tensor, weights: Tensor) -> Tensor:
    """Eq. 5 by adding one point after another to the distribution of the count; shape (B,)."""
    counts = weights[..., 0].sum(dim=1).long()
    distribution = torch.zeros(len(p), int(counts.max()) + 1)
    distribution[:, 0] = 1
    for q in p.flatten(1).unbind(dim=1):
        one_more = torch.nn.functional.pad(distribution[:, :-1], (1, 0))
        distribution = distribution * (1 - q[:, None]) + one_more * q[:, None]
    return -torch.log(distribution.gather(1, counts[:, None])[:, 0] + 1e-12)


def seconds_per_iteration(batches: list[Batch], matching: Callable, count: Callable) -> tuple[float, float]:
    """Return the median time of an iteration, and the mean loss."""
    torch.manual_seed(0)
    network = PointNetwork()
    network.standardise(0.19, 0.19)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    times, losses = [], []
    for batch in batches:
        began = time.perf_counter()
        predicted = network(batch.frames)
        p = predicted.probabilities
        loss = (matching(predicted.offsets, p, batch.truth, batch.weights) + WEIGHT * count(p, batch.weights)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
        losses.append(loss.item())
    return float(np.median(times[WARM_UP:])), float(np.mean(losses))


def main() -> None:
    simulation = Simulation(frame_shape=(26, 26), structure="uniform", emitters_per_frame=41, photons=2250)
    samples, rng = SimulatedSamples(simulation), np.random.default_rng(0)
    batches = [samples.batch(16, rng) for _ in range(WARM_UP + ITERATIONS)]
    ours = seconds_per_iteration(batches, heatmap_matching, counting)
    slow = seconds_per_iteration(batches, full_double_sum, recursion)
    print(f"machine: {machine()}\n")
    rows = [
        ["full double sum, sequential recursion", f"{slow[0]:.3f}", f"{slow[1]:.4f}", "1"],
        ["local closed form, tilted transform", f"{ours[0]:.3f}", f"{ours[1]:.4f}", f"{slow[0] / ours[0]:.0f}"],
    ]
    print(markdown(["losses", "s an iteration", "mean loss", "times faster"], rows))


if __name__ == "__main__":
    main()
