from copy import deepcopy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from plaudit.errors import PlauditError
from plaudit.models.language import adapters, loading
from plaudit.models.language.adapters import Lora
from tests.models.language.tiny import FAMILIES, lm, seeded, words

IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


def adapted(family: str, lora: Lora = Lora(rank=3)):
    """A model with adapters that change it, and the same model without any."""
    base = lm(family)
    model = deepcopy(base)
    handle = adapters.adapt(model, lora, seeded(1))
    with torch.no_grad():
        for name, p in handle.named_parameters():
            if "lora_B" in name:
                p.normal_(0.0, 0.3, generator=seeded(p.numel()))
    return base, model, handle


@torch.no_grad()
def logits(model) -> torch.Tensor:
    return model(input_ids=IDS, use_cache=False).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_start_as_no_change_at_all(family: str) -> None:
    base = lm(family)
    expected = logits(base)
    adapters.adapt(base, Lora(), seeded(0))
    assert torch.equal(logits(base), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_update_is_alpha_over_rank_times_b_a(family: str) -> None:
    base, model, handle = adapted(family, Lora(rank=3, alpha=7.0))
    found = dict(model.named_modules())
    plain = dict(base.named_parameters())
    count = 0
    with torch.no_grad():
        for name, module in found.items():
            if not hasattr(module, "lora_A"):
                continue
            count += 1
            update = 7 / 3 * (module.lora_B["default"].weight @ module.lora_A["default"].weight)
            # GPT-2 keeps its weights turned
            plain[f"{name}.weight"].add_(update if family == "llama" else update.T)
    assert count == {"gpt2": 8, "llama": 14}[family]
    torch.testing.assert_close(logits(base), logits(model), atol=1e-5, rtol=1e-4)
    assert handle is not model


@pytest.mark.parametrize("family", FAMILIES)
def test_39_off_is_exactly_the_base(family: str) -> None:
    base, model, handle = adapted(family)
    changed = logits(model)
    assert not torch.allclose(changed, logits(base), atol=1e-3)
    with adapters.off(handle):
        assert torch.equal(logits(model), logits(base))
    assert torch.equal(logits(model), changed)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_merged_and_saved_says_what_the_adapted_model_says(family: str, tmp_path: Path) -> None:
    _, model, handle = adapted(family)
    expected = logits(model)
    plain = adapters.merged(model, handle)
    torch.testing.assert_close(logits(plain), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(logits(model), expected) and any(
        "lora" in name for name, _ in model.named_parameters()
    )
    loading.save(tmp_path, plain, words())
    with loading.quiet():
        theirs, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert not any("adapter" in file.name for file in tmp_path.iterdir())
    torch.testing.assert_close(logits(theirs), expected, atol=1e-5, rtol=1e-5)


def test_without_adapters_there_is_nothing_to_merge() -> None:
    model = lm()
    assert adapters.merged(model, None) is model


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bare_trunk_is_the_base_without_adapters(family: str) -> None:
    base, model, handle = adapted(family)
    trunk = adapters.bare(model, handle)
    with torch.no_grad():
        mine, theirs = (t(input_ids=IDS, use_cache=False).last_hidden_state for t in (trunk, base.base_model))
    assert torch.equal(mine, theirs)
    own = {p.data_ptr() for p in trunk.parameters()}
    assert not own & {p.data_ptr() for p in model.parameters()}


def test_adapters_follow_their_generator_and_leave_the_global_one() -> None:
    before = torch.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        handle = adapters.adapt(lm(), Lora(rank=2), seeded(seed))
        drawn.append(torch.cat([p.flatten() for name, p in handle.named_parameters() if "lora_A" in name]))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_layers_by_name() -> None:
    handle = adapters.adapt(lm(), Lora(rank=2, targets=("c_attn",)), seeded(0))
    names = {name for name, p in handle.named_parameters() if p.requires_grad}
    assert len(names) == 4 and all("c_attn" in name for name in names)


def test_bad_adapters() -> None:
    with pytest.raises(PlauditError, match=r"lora.targets: .*nowhere"):
        adapters.adapt(lm(), Lora(targets=("nowhere",)), seeded(0))
    with pytest.raises(PlauditError, match="lora.rank: must be at least 1, not 0"):
        Lora(rank=0)
    for alpha in (0.0, float("nan")):
        with pytest.raises(PlauditError, match="lora.alpha: must be above 0, not"):
            Lora(alpha=alpha)


@pytest.mark.parametrize(("family", "target"), [
    ("gpt2", "lm_head"), ("gpt2", "wte"), ("gpt2", "transformer.wpe"), ("llama", "lm_head"), ("llama", "embed_tokens"),
])  # fmt: skip
def test_the_ends_of_a_model_get_no_adapters(family: str, target: str) -> None:
    """The policy reads the weights of the last layer as they are, so an adapter there would learn nothing in silence."""
    model = lm(family)
    said = rf"lora.targets: '{target}' is the output layer or an embedding, which get no adapters; name layers between"
    with pytest.raises(PlauditError, match=said):
        adapters.adapt(model, Lora(targets=("mlp", target)), seeded(0))
    assert not any("lora" in name for name, _ in model.named_parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_adapters_of_a_model_on_a_gpu_are_the_same() -> None:
    handles = [adapters.adapt(lm().to(device), Lora(rank=2), seeded(1)) for device in ("cpu", "cuda")]
    one, other = (dict(handle.named_parameters()) for handle in handles)
    assert all(torch.equal(p, other[name].cpu()) for name, p in one.items() if "lora_A" in name)
