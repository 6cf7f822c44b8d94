"""Muon: its steps, and that it learns."""

from __future__ import annotations

import copy

import pytest
import torch

from napari_subpixel.training.muon import STEP_SIZE, Muon, is_matrix, orthogonal


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (64, 64)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    near = orthogonal(matrix)
    assert near.shape == matrix.shape
    values = torch.diagonal(u.T @ near @ v.T)
    assert 0.5 < values.min() <= values.max() < 1.3
    assert (u.T @ near @ v.T - torch.diag(values)).abs().max() < 0.01


def test_only_large_layers_are_matrices():
    assert is_matrix(torch.zeros(64, 5, 3, 3))
    assert is_matrix(torch.zeros(96, 128, 1, 1))
    assert not is_matrix(torch.zeros(15, 64, 1, 1))
    assert not is_matrix(torch.zeros(64, 2, 3, 3))
    assert not is_matrix(torch.zeros(64))


def test_a_step_has_the_size_of_adams():
    weight = torch.nn.Parameter(torch.randn(64, 576))
    before = weight.detach().clone()
    weight.grad = 1e-4 * torch.randn(64, 576)
    Muon([weight], lr=0.01).step()
    assert (weight - before).square().mean().sqrt().item() == pytest.approx(0.01 * STEP_SIZE, rel=0.3)


def test_the_rest_takes_the_steps_of_adamw():
    ours, theirs = (torch.nn.Parameter(torch.ones(7)) for _ in range(2))
    optimizers = Muon([ours], lr=0.01, weight_decay=0.1), torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for k in range(5):
        for p, optimizer in zip((ours, theirs), optimizers, strict=True):
            p.grad = torch.cos(torch.arange(7.0) + k)
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon")
def test_steps_of_a_matrix_equal_those_of_pytorchs_muon():
    start = torch.randn(40, 90, generator=torch.Generator().manual_seed(2))
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    settings = {"lr": 0.01, "momentum": 0.95, "weight_decay": 0.1}
    reference = torch.optim.Muon([theirs], nesterov=True, adjust_lr_fn="match_rms_adamw", **settings)
    optimizers = Muon([ours], **settings), reference
    for k in range(3):
        gradient = torch.randn(40, 90, generator=torch.Generator().manual_seed(3 + k))
        for p, optimizer in zip((ours, theirs), optimizers, strict=True):
            p.grad = gradient.clone()
            optimizer.step()
    # PyTorch's multiplies in bfloat16, to 3 digits. Without Nesterov's look ahead the steps differ by a fifth or more.
    assert (ours - theirs).norm() < 0.05 * (ours - start).norm()


def test_it_learns_and_its_state_is_resumed():
    torch.manual_seed(0)
    target, weight = torch.randn(40, 50), torch.nn.Parameter(torch.zeros(40, 50))
    optimizer = Muon([weight], lr=0.05)
    for _ in range(300):
        weight.grad = weight.detach() - target
        optimizer.step()
    assert (weight - target).square().mean() < 0.1 * target.square().mean()
    other = Muon([torch.nn.Parameter(weight.detach().clone())], lr=0.05)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for o in (optimizer, other):
        o.param_groups[0]["params"][0].grad = target
        o.step()
    assert torch.equal(weight, other.param_groups[0]["params"][0])
