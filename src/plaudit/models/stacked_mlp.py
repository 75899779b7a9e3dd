"""Several small networks of one shape as one batched network: a policy beside its critic, or an ensemble.

One batched matrix product per layer replaces one product per network, which is where the time of small
networks goes on a CPU.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Activation = Literal["tanh", "relu"]
FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu}


class StackedMLP(nn.Module):
    """K multilayer perceptrons without an output layer: [K, B, inputs] -> [K, B, sizes[-1]].

    Orthogonal weights of gain sqrt(2) and zero biases, drawn from the given generator.
    """

    def __init__(
        self,
        members: int,
        inputs: int,
        sizes: Sequence[int],
        activation: Activation,
        generator: torch.Generator,
    ):
        super().__init__()
        self.activation = activation
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for fan_in, fan_out in zip((inputs, *sizes), sizes, strict=False):
            self.weights.append(orthogonal(members, fan_in, fan_out, sqrt(2), generator))
            self.biases.append(nn.Parameter(torch.zeros(members, 1, fan_out)))

    def forward(self, x: Float[Tensor, "K B F"]) -> Float[Tensor, "K B H"]:
        """The last hidden layer of every member, each on its own input."""
        function = FUNCTIONS[self.activation]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = function(torch.baddbmm(bias, x, weight))
        return x

    def member(self, index: int, x: Float[Tensor, "B F"]) -> Float[Tensor, "B H"]:
        """The last hidden layer of one member alone."""
        function = FUNCTIONS[self.activation]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = function(torch.addmm(bias[index], x, weight[index]))
        return x


def orthogonal(
    members: int, fan_in: int, fan_out: int, gain: float, generator: torch.Generator
) -> nn.Parameter:
    """Weights [members, fan_in, fan_out] whose matrices have W W^T or W^T W = gain^2 I."""
    weight = torch.empty(members, fan_in, fan_out)
    for matrix in weight:
        nn.init.orthogonal_(matrix.T, gain, generator=generator)
    return nn.Parameter(weight)
