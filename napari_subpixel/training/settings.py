"""How to train: the settings of a run, and the names that they may take; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

from napari_subpixel._util.records import described
from napari_subpixel.errors import InputError

#: Names of what training can minimise (`napari_subpixel.training.objectives`).
OBJECTIVES = ("paper", "likelihood", "heatmap", "spikes", "dsnt")
#: Names of the optimisers (`napari_subpixel.training.trainer`).
OPTIMIZERS = ("adam", "muon")
#: Names of the paper's sparsity terms (`napari_subpixel.training.counting`).
SPARSITY = ("counting", "l1", "none")


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the defaults are those of the paper's section 4.1, as its authors' published code has them.

    Attributes
    ----------
    iterations : int
        Steps of the optimiser.
    batch_size : int
        Samples per step.
    learning_rate : float
        Of the optimiser.
    cooldown : int
        Over this many last iterations the learning rate falls linearly to 0.
    kernel_px : float
        Width lambda of the heatmap kernel, in pixels.
    sparsity : str
        ``counting``, ``l1`` or ``none`` (Table 3).
    counting_window_px : int
        Side of the windows, on a grid that is shifted at random in every step, in which the paper's objective counts; 0
        counts in the whole patch, as the paper does.
    sparsity_weight : float
        Weight of the sparsity term.
    final_sparsity_weight : float, optional
        Weight that it reaches at the end, growing evenly over the cooldown; the same if not given.
    objective : str
        ``paper``: heatmap matching and a sparsity term; ``likelihood``: that of the true molecules' places and light,
        and, with the sparsity weight, of their number in windows (`napari_subpixel.training.likelihood`); ``heatmap``,
        ``spikes`` and ``dsnt``: those of the heatmap methods (`napari_subpixel.training.heatmap_losses`).
    optimizer : str
        ``adam`` (AdamW, which is Adam without weight decay) or ``muon`` (`napari_subpixel.training.muon`).
    weight_decay : float
        Of the optimiser.
    warm_up : int
        Over this many first iterations the learning rate rises linearly from 0.
    clip_norm : float, optional
        Gradients are scaled down to this norm.
    averaging : float
        Share of the running mean of the weights that every step keeps, and which is the result; 0 takes the last
        weights.
    half_precision : bool
        Run the layers and the optimiser's products of matrices in bfloat16, several times faster where the processor
        can.
    seed : int
        Seeds the weights and every draw.
    checkpoint_every, log_every, measure_every : int
        Iterations between checkpoints at most, between rows of the log, and between measurements on what is held out.
    """

    iterations: int = described(50_000, "steps of the optimiser")
    batch_size: int = described(16, "samples per step")
    learning_rate: float = described(1e-3, "learning rate of the optimiser")
    cooldown: int = described(0, "last iterations, over which the learning rate falls to 0")
    kernel_px: float = described(0.2, "width of the heatmap kernel, in pixels")
    sparsity: str = described("counting", f"sparsity term: {', '.join(SPARSITY)}")
    counting_window_px: int = 0
    sparsity_weight: float = described(0.1, "weight of the sparsity term")
    final_sparsity_weight: float | None = described(
        None, "weight that it reaches at the end of the cooldown; the same if not given"
    )
    objective: str = "paper"
    optimizer: str = "adam"
    weight_decay: float = 0.0
    warm_up: int = 0
    clip_norm: float | None = None
    averaging: float = 0.0
    half_precision: bool = False
    seed: int = described(0, "seeds weights and samples")
    checkpoint_every: int = 1000
    log_every: int = 100
    measure_every: int = 500

    def __post_init__(self) -> None:
        for name in ("iterations", "batch_size", "checkpoint_every", "log_every", "measure_every"):
            if getattr(self, name) < 1:
                raise InputError(f"training: {name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "kernel_px"):
            if not getattr(self, name) > 0:
                raise InputError(f"training: {name} must be positive, got {getattr(self, name)}")
        for name in (
            "sparsity_weight", "counting_window_px", "cooldown", "seed", "final_sparsity_weight", "weight_decay",
            "warm_up",
        ):  # fmt: skip
            if getattr(self, name) is not None and not getattr(self, name) >= 0:
                raise InputError(f"training: {name} must not be negative, got {getattr(self, name)}")
        for name, known in (("sparsity", SPARSITY), ("objective", OBJECTIVES), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) not in known:
                raise InputError(f"training: {name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise InputError(f"training: clip_norm must be positive, got {self.clip_norm}")
        if not 0 <= self.averaging < 1:
            raise InputError(f"training: averaging must be at least 0 and below 1, got {self.averaging}")

    def learning_rate_at(self, iteration: int) -> float:
        """Learning rate of one step, counted from 0."""
        warmth = min(1.0, (iteration + 1) / self.warm_up) if self.warm_up else 1.0
        return self.learning_rate * warmth * self._cooldown_left(iteration)

    def sparsity_weight_at(self, iteration: int) -> float:
        """Weight of the sparsity term in one step, counted from 0."""
        if self.final_sparsity_weight is None:
            return self.sparsity_weight
        done = 1.0 - self._cooldown_left(iteration)
        return self.sparsity_weight + done * (self.final_sparsity_weight - self.sparsity_weight)

    def _cooldown_left(self, iteration: int) -> float:
        return min(1.0, (self.iterations - iteration) / self.cooldown) if self.cooldown else 1.0
