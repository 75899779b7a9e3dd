from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from plaudit.errors import PlauditError
from plaudit.models.language import requirements
from plaudit.models.language.policy import LanguagePolicy, PolicyConfig
from tests.models.language.tiny import lm, seeded


def like(family: str, **settings: Any) -> Any:
    """A model of transformers with weights that matter."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 60}
    with torch.random.fork_rng():
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **sizes | settings))
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0.0, 0.3, generator=seeded(p.numel()))
    return model.eval()


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2", "opt", "mistral"])
def test_causal_models_with_a_linear_head_pass(family: str) -> None:
    requirements.check(lm(family))


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("cohere", {"intermediate_size": 32, "logit_scale": 0.0625}),  # scaled
        (
            "gemma2",
            {
                "intermediate_size": 32,
                "head_dim": 8,
                "num_key_value_heads": 2,
                "final_logit_softcapping": 30.0,
            },
        ),  # capped
        ("bert", {"intermediate_size": 32}),  # more layers behind the last hidden state
    ],
)
def test_logits_that_are_no_linear_layer_of_the_last_hidden_state(
    family: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(PlauditError, match="not a linear layer of its last hidden state"):
        LanguagePolicy(like(family, **settings), PolicyConfig(), seeded(0))


def asked_otherwise(change: Any) -> Any:
    """A GPT-2 whose trunk is asked through `change(trunk, **what it is asked)`."""
    model = lm()
    trunk = model.transformer.forward

    def asked(*ids: Any, **given: Any) -> Any:
        return change(trunk, **given, **dict(zip(["input_ids"], ids, strict=False)))

    model.transformer.forward = asked
    return model


def test_a_token_that_sees_what_follows() -> None:
    def bidirectional(trunk: Any, **given: Any) -> Any:
        out = trunk(**given)
        out.last_hidden_state = out.last_hidden_state + out.last_hidden_state.mean(dim=1, keepdim=True)
        return out

    with pytest.raises(PlauditError, match="a token sees what follows it"):
        requirements.check(asked_otherwise(bidirectional))


def test_a_cache_that_changes_what_follows() -> None:
    def forgetful(trunk: Any, past_key_values: Any = None, **given: Any) -> Any:
        if past_key_values is not None:
            states = given["input_ids"][:, None, :, None].float()
            for layer in range(2):
                past_key_values.update(states, states, layer)
            given |= {"attention_mask": None, "use_cache": False, "position_ids": None}
        return trunk(**given)

    with pytest.raises(PlauditError, match="goes on differently with a cache"):
        requirements.check(asked_otherwise(forgetful))


def test_padding_at_the_left_that_changes_what_follows() -> None:
    def unmasked(trunk: Any, attention_mask: Any = None, **given: Any) -> Any:
        return trunk(**given)

    with pytest.raises(PlauditError, match="with padding at the left"):
        requirements.check(asked_otherwise(unmasked))


def test_a_model_that_knows_no_such_question() -> None:
    def unlike(trunk: Any, input_ids: Any, use_cache: bool) -> Any:
        return trunk(input_ids=input_ids, use_cache=use_cache)

    with pytest.raises(PlauditError, match=r"cannot be asked as plaudit asks \(.*unexpected keyword"):
        requirements.check(asked_otherwise(unlike))


def test_a_model_without_an_output_layer() -> None:
    model = lm()
    model.get_output_embeddings = lambda: None
    with pytest.raises(PlauditError, match="no output layer"):
        requirements.check(model)


def test_checking_changes_nothing() -> None:
    model, before = lm(), torch.get_rng_state()
    weights = {name: p.clone() for name, p in model.named_parameters()}
    requirements.check(model)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(p, weights[name]) for name, p in model.named_parameters())
    assert not model.get_output_embeddings()._forward_hooks


@pytest.mark.parametrize("family", ["gpt2", "opt", "llama"])
def test_14_no_dropout_rate_is_left(family: str) -> None:
    model = lm(family)
    if family == "llama":
        for module in model.modules():
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = 0.5
    requirements.without_dropout(model)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad(), torch.random.fork_rng():
        assert torch.equal(model.train()(input_ids=ids).logits, model.eval()(input_ids=ids).logits)
    assert family != "gpt2" or model.config.resid_pdrop == 0.1  # what is saved is what it was
