import pytest
import torch
from torch import nn

from plaudit.errors import PlauditError
from plaudit.models.language import devices
from tests.models.language.tiny import lm


def test_blocks_compute_again_and_nothing_inside_them_trains() -> None:
    model = lm()
    devices.turn_on(model, [model])
    training = {type(module).__name__ for module in model.modules() if module.training}
    assert training == {"GPT2Model", "GPT2Block"}
    calls = []
    model.transformer.h[0].attn.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    model(input_ids=torch.tensor([[3, 4, 5]]), use_cache=False).logits.sum().backward()
    assert len(calls) == 2  # once forward, once more for the gradient


def test_a_pause_and_what_it_leaves_behind() -> None:
    model = lm()
    devices.turn_on(model, [model])
    before = [module.training for module in model.modules()]
    with pytest.raises(KeyError), devices.paused(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert before == [module.training for module in model.modules()]


def test_a_model_that_knows_none() -> None:
    class Old(nn.Module):
        def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, bool]) -> None:
            raise ValueError("not supported")

    with pytest.raises(PlauditError, match="gradient_checkpointing: a Old knows none; set it to false"):
        devices.turn_on(Old(), [Old()])
