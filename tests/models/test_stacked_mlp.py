"""Stacked networks against K separate torch networks; orthogonal starts."""

import pytest
import torch
from torch import nn

from plaudit.models.stacked_mlp import Activation, StackedMLP, orthogonal


def twins(
    members: int, sizes: tuple[int, ...], activation: Activation
) -> tuple[StackedMLP, list[nn.Sequential]]:
    """A stack, and its members rebuilt from torch layers with the same weights."""
    stack = StackedMLP(members, 5, sizes, activation, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for bias in stack.biases:
            bias.normal_(generator=torch.Generator().manual_seed(2))
    networks = []
    for k in range(members):
        layers: list[nn.Module] = []
        for weight, bias in zip(stack.weights, stack.biases, strict=True):
            linear = nn.Linear(weight.shape[1], weight.shape[2])
            with torch.no_grad():
                linear.weight.copy_(weight[k].T)
                linear.bias.copy_(bias[k, 0])
            layers += [linear, nn.Tanh() if activation == "tanh" else nn.ReLU()]
        networks.append(nn.Sequential(*layers))
    return stack, networks


@pytest.mark.parametrize("members", [1, 2, 4])
@pytest.mark.parametrize("sizes", [(), (7,), (16, 3)])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_values_and_gradients_are_those_of_separate_networks(
    members: int, sizes: tuple[int, ...], activation: Activation
) -> None:
    stack, networks = twins(members, sizes, activation)
    x = torch.randn(members, 6, 5, generator=torch.Generator().manual_seed(3))
    mine = stack(x)
    theirs = torch.stack([network(row) for network, row in zip(networks, x, strict=True)])
    assert torch.allclose(mine, theirs, atol=1e-6)
    for k in range(members):
        assert torch.allclose(stack.member(k, x[k]), theirs[k], atol=1e-6)
    if not sizes:
        return
    direction = torch.randn(mine.shape, generator=torch.Generator().manual_seed(4))
    (mine * direction).sum().backward()
    (theirs * direction).sum().backward()
    for layer, (weight, bias) in enumerate(zip(stack.weights, stack.biases, strict=True)):
        for k, network in enumerate(networks):
            linear = network[2 * layer]
            assert (
                isinstance(linear, nn.Linear)
                and linear.weight.grad is not None
                and linear.bias.grad is not None
            )
            assert weight.grad is not None and bias.grad is not None
            assert torch.allclose(weight.grad[k], linear.weight.grad.T, atol=1e-5)
            assert torch.allclose(bias.grad[k, 0], linear.bias.grad, atol=1e-5)


def test_members_share_nothing() -> None:
    stack, _ = twins(3, (8, 8), "tanh")
    stack(torch.ones(3, 4, 5))[1].sum().backward()
    for parameter in stack.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1].abs().max() > 0
        assert parameter.grad[[0, 2]].abs().max() == 0


@pytest.mark.parametrize(("fan_in", "fan_out"), [(4, 64), (64, 4), (32, 32), (1, 8), (8, 1)])
@pytest.mark.parametrize("gain", [2**0.5, 0.01, 1.0])
def test_orthogonal_for_tall_and_wide(fan_in: int, fan_out: int, gain: float) -> None:
    weight = orthogonal(3, fan_in, fan_out, gain, torch.Generator().manual_seed(0))
    assert isinstance(weight, nn.Parameter) and weight.shape == (3, fan_in, fan_out)
    for matrix in weight.detach():
        product = matrix.T @ matrix if fan_in >= fan_out else matrix @ matrix.T
        assert torch.allclose(product, gain**2 * torch.eye(min(fan_in, fan_out)), atol=1e-5)
    assert not torch.allclose(weight[0], weight[1])  # every member starts elsewhere


def test_the_hidden_layers_start_orthogonal_with_gain_sqrt_two_and_no_bias() -> None:
    stack = StackedMLP(2, 5, (16, 4), "tanh", torch.Generator().manual_seed(0))
    for weight, bias in zip(stack.weights, stack.biases, strict=True):
        for matrix in weight.detach():
            small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
            assert torch.allclose(small, 2 * torch.eye(len(small)), atol=1e-5)
        assert bias.abs().max() == 0


def test_the_generator_alone_decides_and_the_global_one_is_left_alone() -> None:
    before = torch.get_rng_state()
    one = StackedMLP(2, 5, (8,), "tanh", torch.Generator().manual_seed(7))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(999)
    two = StackedMLP(2, 5, (8,), "tanh", torch.Generator().manual_seed(7))
    other = StackedMLP(2, 5, (8,), "tanh", torch.Generator().manual_seed(8))
    torch.set_rng_state(before)
    assert torch.equal(one.weights[0], two.weights[0]) and not torch.equal(one.weights[0], other.weights[0])
