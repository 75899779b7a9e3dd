"""The reward ensemble: as good as separate networks, standardised over the policy's own behaviour."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from plaudit.models.actor_critic import Spaces
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.models.transitions import Transitions

SPACES = Spaces(3, 2, "continuous")


def record(generator: torch.Generator, rows: int = 4, steps: int = 6) -> Transitions:
    def draw(*shape: int) -> Tensor:
        return torch.randn(rows, steps, *shape, generator=generator)

    return Transitions(draw(3) * 4 + 1, draw(2), draw(2).clamp(-1, 1), draw(3), draw())


def ensemble(seed: int = 0, **changes: Any) -> RewardEnsemble:
    return RewardEnsemble(SPACES, RewardConfig(**changes), torch.Generator().manual_seed(seed))


def by_hand(model: RewardEnsemble, member: int, features: Tensor) -> Tensor:
    """One member as torch's own layers, on features scaled by hand."""
    layers: list[nn.Module] = []
    for weight, bias in zip(model.body.weights, model.body.biases, strict=True):
        layer = nn.Linear(*weight.shape[1:])
        layer.weight.data, layer.bias.data = weight[member].T.clone(), bias[member, 0].clone()
        layers += [layer, nn.Tanh()]
    head = nn.Linear(model.head.shape[1], 1, bias=False)
    head.weight.data = model.head[member].T.clone()
    seen = model.scaling.count > 0
    mean, var = (model.scaling.mean.float(), model.scaling.var.float()) if seen else (0.0, torch.ones(()))
    features = ((features - mean) / (var + 1e-8).sqrt()).clamp(-10, 10)
    return nn.Sequential(*layers, head)(features).squeeze(-1)


@pytest.mark.parametrize("inputs", ["state", "state_action", "state_action_next"])
@pytest.mark.parametrize("hidden", [(), (5,), (6, 4)])
def test_every_member_is_a_network_of_its_own(inputs: Any, hidden: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    model, steps = ensemble(inputs=inputs, hidden=hidden), record(generator)
    parts = {
        "state": [],
        "state_action": [steps.executed],
        "state_action_next": [steps.executed, steps.successors],
    }
    features = torch.cat([steps.observations, *parts[inputs]], dim=-1)
    assert torch.equal(model.features(steps), features)
    for scaled in (False, True):
        if scaled:
            model.scale_inputs(features.flatten(end_dim=1))
        raw = model(features)
        assert raw.shape == (3, 4, 6)
        for member in range(3):
            torch.testing.assert_close(raw[member], by_hand(model, member, features), rtol=1e-5, atol=1e-5)
    assert (raw[0] - raw[1]).abs().max() > 0.1


def test_members_have_mean_0_and_variance_1_over_what_the_policy_does() -> None:
    generator = torch.Generator().manual_seed(1)
    model, steps = ensemble(members=4), record(generator, 5, 30)
    mask = torch.rand(5, 30, generator=generator) < 0.7
    before = model.members(steps)
    model.standardise(steps, mask)
    members = model.members(steps)
    for k in range(4):
        inside = members[k][mask].double()
        assert inside.mean().item() == pytest.approx(0, abs=1e-6)
        assert ((inside - inside.mean()) ** 2).mean().item() == pytest.approx(
            1, abs=1e-5
        )  # population variance
        line = torch.stack([before[k].flatten(), members[k].flatten()])
        assert torch.corrcoef(line)[0, 1] == pytest.approx(1, abs=1e-5)  # scale and shift alone
    model.standardise(record(generator, 5, 30), mask)  # of the newest behaviour, not of all there ever was
    assert model.outputs.count == mask.sum()
    assert abs(model.members(steps)[0][mask].mean().item()) > 1e-3


class Said(RewardEnsemble):
    """Members that say what they are told to."""

    said: Tensor

    def forward(self, features: Tensor, ends: Tensor | None = None) -> Tensor:
        return self.said


def test_members_3_and_minus_1_by_hand() -> None:
    """Unbiased: mean 1, variance ((3-1)^2 + (-1-1)^2) / (2-1) = 8."""
    for penalty in (0.0, 0.5, 2.0):
        model = Said(SPACES, RewardConfig(members=2, uncertainty_penalty=penalty), torch.Generator())
        model.said = torch.tensor([[[3.0]], [[-1.0]]])
        steps = record(torch.Generator().manual_seed(0), 1, 1)
        assert model.reward(steps).item() == pytest.approx(1 - penalty * 8**0.5, rel=1e-6)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=6), st.floats(0, 3))
@settings(max_examples=50, deadline=None)
def test_caution_by_a_loop(said: list[float], penalty: float) -> None:
    model = Said(SPACES, RewardConfig(members=len(said), uncertainty_penalty=penalty), torch.Generator())
    model.said = torch.tensor(said)[:, None, None]
    mean = sum(said) / len(said)
    spread = (sum((x - mean) ** 2 for x in said) / (len(said) - 1)) ** 0.5
    found = model.reward(record(torch.Generator().manual_seed(0), 1, 1)).item()
    assert found == pytest.approx(mean - penalty * spread, rel=1e-4, abs=1e-3)


def test_one_member_has_no_spread() -> None:
    model, steps = ensemble(members=1), record(torch.Generator().manual_seed(0))
    assert torch.equal(model.reward(steps), model.members(steps)[0])


def test_predicting_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    model = ensemble()
    model.scale_inputs(torch.randn(20, 5, generator=generator))
    model.standardise(record(generator), torch.ones(4, 6, dtype=torch.bool))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for _ in range(3):
        steps = record(generator)
        model.reward(steps), model.members(steps), model(model.features(steps))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not model.reward(steps).requires_grad and model(model.features(steps)).requires_grad


def test_everything_travels_with_the_weights() -> None:
    generator = torch.Generator().manual_seed(1)
    model, steps = ensemble(), record(generator)
    model.scale_inputs(torch.randn(20, 5, generator=generator) * 3)
    model.standardise(steps, torch.ones(4, 6, dtype=torch.bool))
    other = ensemble(seed=9)
    assert not torch.equal(other.reward(steps), model.reward(steps))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.reward(steps), model.reward(steps))


def test_constructors_leave_global_randomness_alone() -> None:
    state = torch.get_rng_state()
    assert torch.equal(ensemble(3).head, ensemble(3).head) and not torch.equal(
        ensemble(3).head, ensemble(4).head
    )
    assert torch.equal(state, torch.get_rng_state())


def test_a_behaviour_that_never_varies_gives_no_infinities() -> None:
    model = ensemble()
    one = record(torch.Generator().manual_seed(0), 1, 1)
    still = Transitions(*(getattr(one, f).expand(3, 5, *([-1] if getattr(one, f).ndim == 3 else [])) for f in (
        "observations", "actions", "executed", "successors", "environment_rewards")))  # fmt: skip
    model.scale_inputs(model.features(still).flatten(end_dim=1))
    model.standardise(still, torch.ones(3, 5, dtype=torch.bool))
    assert torch.isfinite(model.reward(still)).all()


# ------------------------------------------------------------------------------------------------ ends of episodes


def ending(generator: torch.Generator) -> Transitions:
    steps = record(generator)
    return replace(steps, ends=(torch.rand(4, 6, generator=generator) < 0.3).float())


def test_an_end_adds_what_the_hidden_layer_says_of_it() -> None:
    generator = torch.Generator().manual_seed(1)
    model, steps = ensemble(), ending(generator)
    features = model.features(steps)
    assert torch.equal(model(features, steps.ends), model(features))  # zero before anybody has judged one
    model.end.data = torch.randn(model.end.shape, generator=generator)
    plain, worth = model(features), model(features, steps.ends)
    assert torch.equal(plain[:, steps.ends == 0], worth[:, steps.ends == 0])
    rows = features[steps.ends > 0]
    torch.testing.assert_close(worth[:, steps.ends > 0] - plain[:, steps.ends > 0], model.ending(rows))
    head, model.head.data = model.head.data, model.end.data
    torch.testing.assert_close(model.ending(rows), model(rows[None])[:, 0])
    model.head.data = head


def test_where_ends_were_judged_the_zero_stays_where_it_is() -> None:
    generator = torch.Generator().manual_seed(1)
    model, steps = ensemble(members=2), ending(generator)
    mask = torch.rand(4, 6, generator=generator) < 0.8
    model.anchored.fill_(True)
    raw = model(model.features(steps), steps.ends)
    model.standardise(steps, mask)
    members = model.members(steps)
    for k in range(2):
        scale = (raw[k][mask].double() ** 2).mean().sqrt()
        torch.testing.assert_close(members[k], (raw[k] / scale).float(), rtol=1e-4, atol=1e-5)
    # caution is about differences: over what the policy does it takes nothing off in the mean
    torch.testing.assert_close(model.reward(steps)[mask].mean(), members.mean(dim=0)[mask].mean())


def test_a_model_of_before_ends_were_judged_is_read() -> None:
    model, other = ensemble(), ensemble(seed=3)
    old = {
        name: value for name, value in model.state_dict().items() if name not in ("end", "anchored", "doubt")
    }
    other.end.data.fill_(1.0)
    other.load_state_dict(old)
    steps = ending(torch.Generator().manual_seed(0))
    assert torch.equal(other.reward(steps), model.reward(steps)) and not other.anchored
