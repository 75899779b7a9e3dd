from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from plaudit.errors import PlauditError
from plaudit.models.language import generation
from plaudit.models.language.generation import (
    Sampling,
    ahead,
    answered,
    draw,
    generate,
    left_padded,
    new_cache,
    positions,
)
from plaudit.models.language.logprobs import Head, Shaping, selected
from tests.models.language import tiny
from tests.models.language.speakers import Counting, Scripted
from tests.models.language.tiny import FAMILIES, lm, nucleus, seeded, sequences

NEVER: frozenset[int] = frozenset()


def head_of(model: Any) -> Head:
    last = model.get_output_embeddings()
    return Head(last.weight.detach(), last.bias)


def uniform(rows: int, steps: int, seed: int = 0) -> Tensor:
    return torch.rand(rows, steps, generator=seeded(seed))


# ------------------------------------------------------------------------------------------- what comes out of a loop


def test_6_a_model_that_counts() -> None:
    trunk = Counting(10)
    said = generate(trunk, trunk.head, [[5, 0], [4, 3]], NEVER, Sampling(4), seeded(0))
    assert said == [(1, 2, 3, 4), (4, 5, 6, 7)]


SCRIPTS = [[869, 30, 869], [2, 30, 869], [50, 30, 869], [13, 30, 2], [13, 30, 5], [13, 2, 20], [2, 2, 2]]
SAID = [(869,), (2,), (50, 30, 869), (13, 30, 2), (13, 30, 5), (13, 2), (2,)]


@pytest.mark.parametrize("crowded", [0.0, 0.85, 1.0])
@pytest.mark.parametrize("rows", [1, 3, 7, 64])
def test_7_an_answer_ends_with_its_first_stop_token(
    monkeypatch: pytest.MonkeyPatch, crowded: float, rows: int
) -> None:
    monkeypatch.setattr(generation, "CROWDED", crowded)
    trunk = Scripted(900, SCRIPTS)
    prompts = [[row] for row in range(7)]
    assert (
        generate(trunk, trunk.head, prompts, frozenset({2, 869}), Sampling(3, rows=rows), seeded(0)) == SAID
    )


def test_finished_rows_leave_the_batch() -> None:
    trunk = Scripted(900, SCRIPTS)
    generate(trunk, trunk.head, [[row] for row in range(7)], frozenset({2, 869}), Sampling(3), seeded(0))
    assert trunk.seen == [7, 4, 3]  # three end at once, one at the second token


def test_greedy_answers_are_those_of_transformers() -> None:
    model, prompts = lm(), sequences([5, 3, 7, 1])
    said = generate(
        model.base_model, head_of(model), prompts, frozenset({0, 200}), Sampling(9, greedy=True), seeded(0)
    )
    for prompt, answer in zip(prompts, said, strict=True):
        ids = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=9,
            do_sample=False,
            eos_token_id=[0, 200],
            pad_token_id=1,
        )
        assert tuple(ids[0, len(prompt) :].tolist()) == answer


# ----------------------------------------------------------------------------------------- padding, gaps and the cache


@pytest.mark.parametrize("family", FAMILIES)
def test_2_padding_at_the_left_changes_no_logits(family: str) -> None:
    model, (text,) = lm(family), sequences([6])
    expected = tiny.logits(model, text)
    for pads in range(8):
        ids, attended = left_padded([text, [2] * (6 + pads)], "cpu")
        with torch.no_grad():
            found = model(
                input_ids=ids,
                attention_mask=attended.long(),
                position_ids=positions(attended),
                use_cache=False,
            ).logits
        torch.testing.assert_close(found[0, pads:].double(), expected, atol=1e-4, rtol=1e-5)


def test_positions_by_hand() -> None:
    attended = torch.tensor(
        [[False, False, True, True], [True, False, True, False], [True, True, True, True]]
    )
    assert positions(attended).tolist() == [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 2, 3]]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(4))
def test_5_gaps_in_the_past_and_in_the_input_change_no_logits(family: str, seed: int) -> None:
    model, (text,) = lm(family), sequences([9], seed)
    expected, g = tiny.logits(model, text), seeded(seed)
    width = 9 + 6
    places = torch.randperm(width, generator=g)[:9].sort().values
    ids = torch.randint(2, 200, (1, width), generator=g)
    ids[0, places] = torch.tensor(text)
    attended = torch.zeros(1, width, dtype=torch.bool)
    attended[0, places] = True
    cut = int(places[int(torch.randint(1, 8, (1,), generator=g))])  # what stands before it is past
    place, cache = positions(attended), new_cache(model.base_model, width)
    with torch.no_grad():
        hidden = [
            ahead(model.base_model, ids[:, a:b], attended[:, :b], place[:, a:b], cache)
            for a, b in ((0, cut), (cut, width))
        ]
    found = head_of(model).logits(torch.cat(hidden, dim=1)[0, places])
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-5)


def windowed() -> Any:
    """A model whose layers see the last four tokens only; its cache is transformers' own."""
    config = AutoConfig.for_model(
        "mistral", hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=32, vocab_size=300, max_position_embeddings=48, sliding_window=4,
    )  # fmt: skip
    with torch.random.fork_rng():
        model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0.0, 0.3, generator=seeded(3))
    return model.eval()


@pytest.mark.parametrize("family", [*FAMILIES, "windowed"])
@pytest.mark.parametrize("crowded", [0.0, 1.0])
def test_4_logits_with_the_cache_are_those_of_the_whole_text_at_every_step(
    monkeypatch: pytest.MonkeyPatch, family: str, crowded: float
) -> None:
    monkeypatch.setattr(generation, "CROWDED", crowded)
    model = windowed() if family == "windowed" else lm(family)
    seen: dict[float, Tensor] = {}  # by the uniform number, which no two steps share

    def watched(logits: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        seen.update(zip(noise.tolist(), logits, strict=True))
        return draw(logits, noise, sampling)

    monkeypatch.setattr(generation, "draw", watched)
    prompts, noise = sequences([3, 8, 1, 5, 5]), uniform(5, 12)
    stops = frozenset(range(0, 280, 9))
    said = answered(model.base_model, head_of(model), prompts, stops, Sampling(12), noise)
    assert len({len(answer) for answer in said}) > 1
    for prompt, answer, numbers in zip(prompts, said, noise, strict=True):
        whole = tiny.logits(model, [*prompt, *answer])
        for step in range(len(answer)):
            found = seen[numbers[step].item()].double()
            torch.testing.assert_close(found, whole[len(prompt) - 1 + step], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shaping", [Shaping(), Shaping(temperature=0.6, top_p=0.8)])
@pytest.mark.slow
def test_neighbours_order_and_compaction_are_invisible(
    monkeypatch: pytest.MonkeyPatch, family: str, shaping: Shaping
) -> None:
    model, noise = lm(family), uniform(9, 10, seed=2)
    prompts = sequences([3, 8, 1, 5, 5, 2, 11, 4, 1], seed=2)
    stops = frozenset(range(0, 280, 7))

    def said(rows: list[int], at_once: int, crowded: float) -> dict[int, tuple[int, ...]]:
        monkeypatch.setattr(generation, "CROWDED", crowded)
        asked, sampling = [prompts[i] for i in rows], Sampling(10, shaping, rows=at_once)
        found = answered(model.base_model, head_of(model), asked, stops, sampling, noise[rows])
        return dict(zip(rows, found, strict=True))

    expected = {i: said([i], 1, 0.0)[i] for i in range(9)}
    assert len({len(answer) for answer in expected.values()}) > 2
    shuffled = [4, 7, 0, 8, 2, 6, 1, 5, 3]
    for at_once, crowded in ((2, 0.0), (4, 1.0), (64, 0.5), (64, 0.0), (64, 1.0)):
        assert said(list(range(9)), at_once, crowded) == expected
        assert said(shuffled, at_once, crowded) == expected
    assert said([6, 3], 64, 0.85) == {i: expected[i] for i in (3, 6)}


def test_the_same_generator_gives_the_same_answers_and_only_it_is_used() -> None:
    model, prompts = lm(), sequences([3, 4, 5])
    before = torch.get_rng_state()
    first, second, third = (
        generate(model.base_model, head_of(model), prompts, NEVER, Sampling(8), seeded(n)) for n in (1, 1, 2)
    )
    assert first == second != third
    assert torch.equal(before, torch.get_rng_state())


# --------------------------------------------------------------------------------------------------------- the sampler


@pytest.mark.parametrize(
    "shaping", [Shaping(), Shaping(temperature=0.5), Shaping(temperature=1.7), Shaping(0.8, top_p=0.7)]
)
def test_11_draws_are_as_frequent_as_their_probability(shaping: Shaping) -> None:
    count, entries = 40_000, 12
    logits = torch.randn(entries, generator=seeded(5)) * 1.5
    every = torch.arange(entries)
    logp, _ = selected(Head(torch.eye(entries)), logits.expand(entries, -1), every, shaping)
    inside = nucleus(logits / shaping.temperature, shaping.top_p)
    p = torch.zeros(entries, dtype=torch.float64)
    p[inside] = logp[inside].double().exp()  # what lies outside the nucleus is never drawn
    assert p.sum().item() == pytest.approx(1, abs=1e-6)
    drawn = draw(logits.expand(count, -1), torch.rand(count, generator=seeded(6)), Sampling(1, shaping))
    counts = torch.bincount(drawn, minlength=entries).double()
    assert bool((counts[p == 0] == 0).all())
    chi_square = ((counts - count * p)[p > 0] ** 2 / (count * p[p > 0])).sum().item()
    assert chi_square < 31.3  # 0.1 % of samples lie above, with 11 degrees of freedom
    # numbers at even distances leave no chance: the frequency is the probability to one part in the count
    even = draw(logits.expand(count, -1), (torch.arange(count) + 0.5) / count, Sampling(1, shaping))
    assert float((torch.bincount(even, minlength=entries) / count - p).abs().max()) < 2 / count


def test_tokens_of_no_probability_are_never_drawn() -> None:
    logits = torch.tensor([[-200.0, 0.0, -200.0, 1.0, -200.0]]).expand(3, -1)
    noise = torch.tensor([0.0, 0.2, 1 - 2**-24])
    assert draw(logits, noise, Sampling()).tolist() == [1, 1, 3]


def test_greedy_takes_the_likeliest() -> None:
    logits = torch.randn(20, 7, generator=seeded(7))
    assert draw(logits, uniform(20, 1)[:, 0], Sampling(greedy=True)).equal(logits.argmax(dim=1))


# ----------------------------------------------------------------------------------------------------------- bad input


def test_a_prompt_that_leaves_no_room_for_its_answer() -> None:
    model = lm(context=48)
    with pytest.raises(
        PlauditError, match="prompt 2 has 41 tokens .* max_new_tokens = 8, .* at most 48 .* 40 tokens"
    ):
        generate(model.base_model, head_of(model), sequences([40, 41]), NEVER, Sampling(8), seeded(0))
    with pytest.raises(PlauditError, match="at most 48 together; lower max_new_tokens$"):
        generate(model.base_model, head_of(model), sequences([1]), NEVER, Sampling(48), seeded(0))
    said = generate(model.base_model, head_of(model), sequences([40]), NEVER, Sampling(8), seeded(0))
    assert len(said[0]) == 8


def test_empty_prompts_and_no_prompts() -> None:
    trunk = Counting(10)
    with pytest.raises(PlauditError, match="prompt 2 is empty"):
        generate(trunk, trunk.head, [[1], []], NEVER, Sampling(2), seeded(0))
    assert generate(trunk, trunk.head, [], NEVER, Sampling(2), seeded(0)) == []


def test_bad_sampling() -> None:
    for name in ("max_new_tokens", "rows"):
        with pytest.raises(PlauditError, match=f"{name}: 0"):
            Sampling(**{name: 0})
