import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from plaudit.errors import PlauditError
from plaudit.models.language import folders, loading
from plaudit.models.language.loading import NewModel
from plaudit.models.language.logprobs import Shaping
from plaudit.models.language.policy import LanguagePolicy, PolicyConfig
from plaudit.models.language.vocabulary import Vocabulary, read_gpt2, train_bpe
from plaudit.trainers.steps import AdamOptimiser
from tests.models.language.tiny import FAMILIES, TEXT, lm, seeded, words

IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])
SMALL: dict[str, Any] = {"layers": 2, "width": 16, "heads": 2, "context": 48}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as it ought to be."""
    loading.save(tmp_path / "model", lm(), words())
    return tmp_path / "model"


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return model(input_ids=IDS, use_cache=False).logits


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


# --------------------------------------------------------------------------------------------------------- save, load


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_says_the_same_here_and_in_transformers(family: str, tmp_path: Path) -> None:
    model = lm(family)
    loading.save(tmp_path, model, words())
    mine, vocabulary = loading.load(str(tmp_path))
    with loading.quiet():
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(logits(mine), logits(model)) and torch.equal(logits(theirs), logits(model))
    assert not mine.training and mine.dtype == torch.float32
    assert (
        vocabulary.encode(TEXT[0])
        == words().encode(TEXT[0])
        == AutoTokenizer.from_pretrained(tmp_path).encode(TEXT[0])
    )
    assert (
        vocabulary.end == words().end
        and vocabulary.tokenizer.chat_template == words().tokenizer.chat_template
    )
    assert not list(tmp_path.glob("*.bin")) and loading.context_of(mine) == 48


@pytest.mark.parametrize("critic", ["shared", "separate"])
def test_what_a_policy_has_learned_is_saved(critic: Any, tmp_path: Path) -> None:
    made = LanguagePolicy(lm(), PolicyConfig(critic), seeded(0))
    optimiser = AdamOptimiser(made.parameters())  # which makes all weights views of one vector
    optimiser.step(made.lm(input_ids=IDS).logits.square().mean(), 0.01, None)
    loading.save(tmp_path, made.lm, words())
    again, _ = loading.load(str(tmp_path))
    assert torch.equal(logits(again), logits(made.lm)) and not torch.equal(logits(again), logits(lm()))


def test_a_policy_answers_as_it_learned_to(tmp_path: Path) -> None:
    """Temperature and nucleus are saved where transformers looks for them."""
    model = lm()
    loading.save(tmp_path / "base", model, words())
    assert loading.shaping_of(loading.load(str(tmp_path / "base"))[0]) == Shaping()
    loading.keep_shaping(model, Shaping(temperature=0.7, top_p=0.9), {words().end, 7})
    loading.save(tmp_path / "policy", model, words())
    assert loading.shaping_of(loading.load(str(tmp_path / "policy"))[0]) == Shaping(0.7, 0.9)
    theirs = GenerationConfig.from_pretrained(tmp_path / "policy")
    assert (theirs.do_sample, theirs.temperature, theirs.top_p) == (True, 0.7, 0.9)
    assert theirs.top_k == 0, "transformers takes the likeliest 50 alone where nothing is said"
    assert theirs.eos_token_id == sorted({words().end, 7})
    again = loading.load(str(tmp_path / "policy"))[1]
    assert again.stops() == {words().end, 7}, "it ends its answers as it learned to"


def test_weights_of_another_precision_are_loaded_in_single(tmp_path: Path) -> None:
    loading.save(tmp_path, lm().bfloat16(), words())
    assert {p.dtype for p in loading.load(str(tmp_path))[0].parameters()} == {torch.float32}


def test_loading_leaves_the_global_generator(folder: Path) -> None:
    before = torch.get_rng_state()
    loading.load(str(folder))
    assert torch.equal(before, torch.get_rng_state())


def test_a_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert torch.equal(logits(loading.load("~/model")[0]), logits(lm()))


def test_a_name_of_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(place: str, complete: Any) -> Path:
        assert place == "some/model" and complete(folder) and not complete(folder.parent)
        return folder

    monkeypatch.setattr(folders, "fetched", fetched)
    model, vocabulary = loading.load("some/model")
    assert torch.equal(logits(model), logits(lm())) and vocabulary.name == "some/model"


def test_quiet_puts_everything_back() -> None:
    level = loading.logging.get_verbosity()
    with pytest.raises(KeyError), loading.quiet():
        raise KeyError
    assert loading.logging.get_verbosity() == level and loading.logging.is_progress_bar_enabled()


# ------------------------------------------------------------------------------------------------ what cannot be loaded


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_is_missing_is_said_with_the_place(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(PlauditError, match=f"^{folder}: .*{name} is missing"):
        loading.load(str(folder))


def test_pickled_weights_are_never_read(folder: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (folder / "harm",))

    (folder / "model.safetensors").unlink()
    torch.save(Harm(), folder / "pytorch_model.bin")
    with pytest.raises(PlauditError, match="pickled"):
        loading.load(str(folder))
    assert not (folder / "harm").exists()


def test_code_that_comes_with_a_model_is_never_run(folder: Path) -> None:
    (folder / "mine.py").write_text(f"open({str(folder / 'harm')!r}, 'w')\n")
    change(
        folder / "config.json",
        auto_map={"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"},
        model_type="mine",
    )
    with pytest.raises(PlauditError, match="no usable causal model in the transformers layout"):
        loading.load(str(folder))
    assert not (folder / "harm").exists()


def test_a_damaged_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": ')
    with pytest.raises(PlauditError, match=r"no usable causal model .* is not a valid JSON file"):
        loading.load(str(folder))


def test_a_config_of_other_sizes(folder: Path) -> None:
    change(folder / "config.json", n_embd=32)
    with pytest.raises(PlauditError, match="no usable causal model"):
        loading.load(str(folder))


@pytest.mark.parametrize("which", ["*token*", "tokenizer.json"])
def test_no_tokenizer(folder: Path, which: str) -> None:
    for file in folder.glob(which):
        file.unlink()
    with pytest.raises(PlauditError, match=r"its tokenizer .*; save the tokenizer into the same folder"):
        loading.load(str(folder))


def test_a_damaged_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(PlauditError, match=r"its tokenizer cannot be read \("):
        loading.load(str(folder))


def test_weights_that_are_not_there_are_not_drawn(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.bias"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        PlauditError, match=r"1 of the weights of a GPT2LMHeadModel are missing \(.*h.1.mlp.c_fc.bias"
    ):
        loading.load(str(folder))


def test_no_end_token(folder: Path) -> None:
    change(folder / "tokenizer_config.json", eos_token=None)
    with pytest.raises(
        PlauditError, match="its tokenizer has no end token, so no answer could end; set eos_token"
    ):
        loading.load(str(folder))


def test_a_tokenizer_of_more_entries_than_the_model(folder: Path) -> None:
    tokenizer = train_bpe(TEXT, 300)
    tokenizer.add_tokens(["<one>", "<two>"])
    tokenizer.save_pretrained(folder)
    entries = len(words())
    with pytest.raises(
        PlauditError, match=rf"has {entries + 2} entries, but the model knows {entries};.*resize_token"
    ):
        loading.load(str(folder))


# ---------------------------------------------------------------------------------------------------------- new models


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2"])
def test_a_new_model_has_the_sizes_it_was_given(family: str) -> None:
    model = loading.make(NewModel(family, **SMALL), words(), seeded(0))
    config = model.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (16, 2, 2)
    assert loading.context_of(model) == 48
    assert model.get_input_embeddings().weight.shape == (len(words()), 16)
    assert (config.eos_token_id, config.pad_token_id) == (0, 1) and not model.training
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("spread", [None, 0.05])
def test_weights_are_drawn_as_gpt2s(spread: float | None) -> None:
    given = {} if spread is None else {"spread": spread}
    model = loading.make(NewModel(layers=2, width=64, heads=2, **given), words(), seeded(0))
    spread = 0.02 if spread is None else spread
    for name, p in model.named_parameters():
        if p.dim() == 1:
            assert bool((p == (1.0 if "ln_" in name and name.endswith("weight") else 0.0)).all())
        else:
            expected = spread / 2 if "c_proj" in name else spread  # 1 / sqrt(2 layers)
            assert p.std().item() == pytest.approx(expected, rel=0.1)
            assert abs(p.mean().item()) < 0.1 * spread


@pytest.mark.parametrize("family", FAMILIES)
def test_45_a_new_model_follows_its_generator_and_leaves_the_global_one(family: str) -> None:
    before = torch.get_rng_state()
    first, second, third = (loading.make(NewModel(family, **SMALL), words(), seeded(n)) for n in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(logits(first), logits(second)) and not torch.equal(logits(first), logits(third))


def test_the_fused_gelu_is_the_one_of_gpt2(tmp_path: Path) -> None:
    model = lm()
    assert model.config.activation_function == "gelu_pytorch_tanh"
    loading.save(tmp_path, model, words())
    change(tmp_path / "config.json", activation_function="gelu_new")
    torch.testing.assert_close(logits(loading.load(str(tmp_path))[0]), logits(model), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_new_model_bends_as_it_is_told(family: str) -> None:
    sizes = {**SMALL, "layers": 1}
    plain, told = (
        loading.make(NewModel(family, **sizes, activation=name), words(), seeded(0))
        for name in (None, "relu")
    )
    assert not torch.equal(logits(plain), logits(told))
    block = told.base_model.h[0].mlp.act if family == "gpt2" else told.base_model.layers[0].mlp.act_fn
    assert torch.equal(block(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))


def test_a_new_model_after_a_config(tmp_path: Path) -> None:
    other = lm("llama")
    other.config.vocab_size = 260  # less than the tokenizer needs
    other.config.save_pretrained(tmp_path)
    change(tmp_path / "config.json", dtype="bfloat16", tie_word_embeddings=False)
    for place in (tmp_path, tmp_path / "config.json"):
        made = loading.make(NewModel("gpt2", layers=9, config=str(place)), words(), seeded(0))
        assert type(made) is type(other) and made.config.num_hidden_layers == 2
        assert made.get_input_embeddings().weight.shape == (len(words()), 16)
        assert {p.dtype for p in made.parameters()} == {torch.float32}
        assert made.config.eos_token_id == 0 and made.config.pad_token_id == 1
    change(tmp_path / "config.json", vocab_size=1000)
    made = loading.make(NewModel(config=str(tmp_path)), words(), seeded(0))
    assert made.get_input_embeddings().weight.shape[0] == 1000
    LanguagePolicy(made, PolicyConfig(), seeded(0))


def test_a_new_model_with_the_gpt2_vocabulary(shared_data: Path, tmp_path: Path) -> None:
    vocabulary = Vocabulary(read_gpt2(shared_data / "gpt2_tokenizer"), "gpt2")
    model = loading.make(NewModel(layers=1, width=8, heads=1, context=16), vocabulary, seeded(0))
    assert model.config.vocab_size == 50258 and model.config.eos_token_id == 50256
    loading.save(tmp_path, model, vocabulary)
    _, again = loading.load(str(tmp_path))
    assert again.encode("Hello world") == [15496, 995] and again.end == 50256


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (
            {"family": "gptt2"},
            "family: 'gptt2' is no causal language model of transformers; did you mean gpt2?",
        ),
        ({"family": "t5"}, "family: 't5' is no causal language model"),
        ({"width": 16, "heads": 3}, "heads: 3 do not divide the width 16; change one of them"),
        ({"family": "llama", "width": 15, "heads": 5}, "heads: 5 make width / heads = 3, which must be even"),
        ({"activation": "gelo"}, "activation: transformers knows no 'gelo'; did you mean gelu?"),
        ({"spread": 0.0}, "spread: must be above 0 and at most 1, not 0"),
        ({"layers": 0}, "layers: must be at least 1, not 0"),
        ({"width": 0}, "width: must be at least 1, not 0"),
        ({"heads": 0}, "heads: must be at least 1, not 0"),
        ({"context": 1}, "context: must be at least 2, not 1"),
        ({"family": "gpt_neo", "layers": 3}, "family: a gpt_neo of these sizes cannot be made"),
        ({"config": "/no/where"}, "config: there is no config.json in /no/where"),
    ],
)
def test_new_models_that_cannot_be(sizes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlauditError) as error:
        loading.make(NewModel(**sizes), words(), seeded(0))
    assert str(error.value).startswith(said)


def test_a_config_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(PlauditError, match=f"config: the model of {tmp_path} cannot be made"):
        loading.make(NewModel(config=str(tmp_path)), words(), seeded(0))


def test_every_token_that_ends_an_answer_of_the_saved_model_stops(folder: Path, tmp_path: Path) -> None:
    """Chat models end a turn with another token than a text; transformers stops at each of them."""
    assert loading.load(str(folder))[1].stops() == {words().end}
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [words().end, 5]}))
    model, vocabulary = loading.load(str(folder))
    assert vocabulary.stops() == {words().end, 5} and vocabulary.stops(("a",)) > vocabulary.stops()
    assert vocabulary.end == words().end
    loading.save(tmp_path / "again", model, vocabulary)
    assert loading.load(str(tmp_path / "again"))[1].stops() == {words().end, 5}
    change(folder / "generation_config.json", eos_token_id=7)
    assert loading.load(str(folder))[1].stops() == {words().end, 7}
