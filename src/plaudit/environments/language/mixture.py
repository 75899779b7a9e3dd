"""Several rewards by weight, each logged apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from plaudit.environments.language.answers import Answers, Graded, Reward
from plaudit.environments.language.returned import PREFIX
from plaudit.errors import PlauditError


@dataclass(frozen=True)
class Mixture:
    """A reward: the weighted sum of its parts. Where one part is dense, the others count at the last decision.

    Metrics, besides the parts' own: `objective/rewards/<name>` and `objective/rewards/<name>_std`, the mean and
    the standard deviation (of the B answers as they are) of each part's unweighted score. A part of weight 0 is
    computed and logged, and teaches nothing.
    """

    parts: dict[str, tuple[float, Reward]]
    """By name, the weight and the reward."""

    def __post_init__(self) -> None:
        """Raise PlauditError where there is nothing to learn from, or the weights are not finite."""
        if not self.parts:
            raise PlauditError("rewards: there are none; give at least one reward")
        for name, (weight, _) in self.parts.items():
            if not math.isfinite(weight):
                raise PlauditError(f"rewards: the weight of {name!r} is {weight}; give a finite number")
            if f"{name}_std" in self.parts:
                raise PlauditError(
                    f"rewards: {name + '_std'!r} is also what the spread of {name!r} is logged as; rename one"
                )
        if not any(weight for weight, _ in self.parts.values()):
            raise PlauditError("rewards: all weights are 0; give at least one that teaches something")

    def __call__(self, answers: Answers) -> Graded:
        """The weighted scores of B answers (float32, on the CPU), dense where a part that counts is dense."""
        graded = {name: _checked(name, reward(answers), answers) for name, (_, reward) in self.parts.items()}
        metrics = {key: value for given in graded.values() for key, value in given.metrics.items()}
        for name, given in graded.items():
            if len(answers):
                scores = given.scores.detach().double()
                metrics[f"{PREFIX}/{name}"] = scores.mean().item()
                metrics[f"{PREFIX}/{name}_std"] = scores.std(correction=0).item()
        # left out, not multiplied by 0: what is left out cannot make the sum dense either
        counted = [(weight, graded[name]) for name, (weight, _) in self.parts.items() if weight]
        if all(given.dense is None for _, given in counted):
            total = sum(weight * given.scores.detach().double().cpu() for weight, given in counted)
            return Graded(torch.as_tensor(total).float(), metrics=metrics)
        rows = tuple(_row(counted, answers, i) for i in range(len(answers)))
        scores = torch.tensor([row.double().sum().item() for row in rows], dtype=torch.float32)
        return Graded(scores, rows, metrics)


def _row(counted: Sequence[tuple[float, Graded]], answers: Answers, i: int) -> Float[Tensor, "_"]:
    """The weighted sum for the decisions of answer i; what a part says of the whole, at the last."""
    total = torch.zeros(len(answers.tokens[i]), dtype=torch.float64)
    for weight, given in counted:
        if given.dense is not None:
            total += weight * given.dense[i].detach().double().cpu()
        elif len(total) == 0:
            raise PlauditError(f"rewards: answer {i} has no token to give its score to; ask for at least one")
        else:
            total[-1] += weight * given.scores[i].item()
    return total.float()


def _checked(name: str, graded: Graded, answers: Answers) -> Graded:
    """As it is, unless a row or the whole has another length than the answers: it would be repeated in silence."""
    lengths = None if graded.dense is None else [len(row) for row in graded.dense]
    if graded.scores.shape != (len(answers),):
        got = list(graded.scores.shape)
        raise PlauditError(
            f"reward {name!r}: scores of shape {got}, wanted [{len(answers)}]; give one per answer"
        )
    if lengths is not None and lengths != [len(tokens) for tokens in answers.tokens]:
        raise PlauditError(
            f"reward {name!r}: its dense rows are not as long as the answers; give one per token"
        )
    return graded
