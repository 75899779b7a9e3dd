import asyncio
import functools
import math
import sys
from pathlib import Path

import pytest

from plaudit.environments.language.prompts import Answers
from plaudit.errors import PlauditError
from plaudit.rewards.functions import SIGNATURES, adapt, load
from tests.environments.language.three import COMPLETIONS, PROMPTS, TOKENS, message, numbers, some


class Recorder:
    """Remembers what a reward of a given signature is called with."""

    def __init__(self) -> None:
        self.calls: list[dict] = []

    def keep(self, **words) -> list[float]:
        self.calls.append(words)
        return [1.0, 2.0, 3.0]


def test_trl_gets_prompts_completions_and_the_columns_it_names() -> None:
    seen = Recorder()

    def reward(prompts, completions, label):
        return seen.keep(prompts=prompts, completions=completions, label=label)

    graded = adapt(reward, "mine")(some(label=[4, 5, 6], other=[7, 8, 9]))
    assert numbers(graded) == [1.0, 2.0, 3.0] and graded.dense is None
    assert seen.calls == [{"prompts": list(PROMPTS), "completions": list(COMPLETIONS), "label": [4, 5, 6]}]


def test_trl_gets_everything_with_keywords() -> None:
    seen = Recorder()

    def reward(completions, **columns):
        return seen.keep(completions=completions, **columns)

    adapt(reward, "mine")(some(label=[4, 5, 6]))
    assert seen.calls == [
        {
            "prompts": list(PROMPTS),
            "completions": list(COMPLETIONS),
            "completion_ids": [list(tokens) for tokens in TOKENS],
            "label": [4, 5, 6],
        }
    ]


def test_trl_gets_token_ids_where_it_names_them() -> None:
    assert numbers(
        adapt(lambda prompts, completion_ids: [len(ids) for ids in completion_ids], "mine")(some())
    ) == [
        2,
        4,
        2,
    ]


def test_columns_do_not_hide_the_answers() -> None:
    answers = some(prompts=[1, 2, 3], completions=[4, 5, 6], outputs=[7, 8, 9])
    assert numbers(
        adapt(lambda prompts, completions: [len(text) for text in completions], "mine")(answers)
    ) == [3, 17, 4]
    assert numbers(adapt(lambda prompts, outputs: [len(text) for text in outputs], "mine")(answers)) == [
        3,
        17,
        4,
    ]


def test_trl_gets_messages_of_a_conversation() -> None:
    seen = Recorder()

    def reward(prompts, completions):
        prompts[0][0]["content"] = "overwritten"
        return seen.keep(completions=completions, second=prompts[1])

    answers = some(messages=True)
    adapt(reward, "mine")(answers)
    assert seen.calls[0]["completions"] == [[{"role": "assistant", "content": text}] for text in COMPLETIONS]
    assert seen.calls[0]["second"] == [{"role": "user", "content": "Why?"}]
    assert answers.messages is not None and answers.messages[0][0]["content"] == "Who?"


def test_words_put_into_the_assistants_mouth_belong_to_the_completion() -> None:
    seen = Recorder()
    begun = ({"role": "user", "content": "Who?"}, {"role": "assistant", "content": "It is"})
    answers = Answers(("Who? It is",), (" me",), ((1,),), {}, (begun,))

    def reward(prompts, completions):
        seen.keep(prompts=prompts, completions=completions)
        return [0]

    adapt(reward, "mine")(answers)
    assert seen.calls[0] == {
        "prompts": [[{"role": "user", "content": "Who?"}]],
        "completions": [[{"role": "assistant", "content": "It is me"}]],
    }


def test_trlx_gets_samples_prompts_outputs_and_metadata() -> None:
    seen = Recorder()

    def reward(samples, prompts, outputs, tokenizer=None, **metadata):
        return seen.keep(
            samples=samples, prompts=prompts, outputs=outputs, tokenizer=tokenizer, more=metadata
        )

    assert numbers(adapt(reward, "mine")(some(label=[4, 5, 6], messages=True))) == [1.0, 2.0, 3.0]
    assert seen.calls == [
        {
            "samples": ["Who? me", "Why? because it rains", "When? now"],
            "prompts": list(PROMPTS),
            "outputs": list(COMPLETIONS),
            "tokenizer": None,
            "more": {"label": [4, 5, 6]},
        }
    ]


def test_trlx_may_take_samples_only() -> None:
    assert numbers(adapt(lambda samples: [len(text) for text in samples], "mine")(some())) == [7, 21, 9]
    assert numbers(adapt(lambda samples, **_: [len(text) for text in samples], "mine")(some())) == [7, 21, 9]


def test_verl_is_called_once_per_answer() -> None:
    seen = Recorder()

    def compute_score(data_source, solution_str, ground_truth, extra_info):
        seen.keep(source=data_source, text=solution_str, truth=ground_truth, extra=extra_info)
        return len(seen.calls)

    columns = {
        "ground_truth": ["a", "b", "c"],
        "extra_info": [{"k": 1}, None, {}],
        "data_source": list("xyz"),
    }
    assert numbers(adapt(compute_score, "mine")(some(**columns, unused=[0, 0, 0]))) == [1, 2, 3]
    assert seen.calls == [
        {"source": source, "text": text, "truth": truth, "extra": extra}
        for source, text, truth, extra in zip("xyz", COMPLETIONS, "abc", columns["extra_info"], strict=True)
    ]


def test_verl_without_columns() -> None:
    seen = Recorder()

    def compute_score(data_source, solution_str, ground_truth, extra_info=None, **rest):
        seen.keep(source=data_source, truth=ground_truth, extra=extra_info, rest=rest)
        return 0.5

    adapt(compute_score, "mine")(some(ground_truth=[1, 2, 3], label=[4, 5, 6]))
    assert seen.calls == [{"source": "", "truth": t, "extra": None, "rest": {}} for t in (1, 2, 3)]
    assert "needs `ground_truth`" in message(compute_score)


def test_verl_keeps_the_defaults_of_its_own() -> None:
    def compute_score(solution_str, ground_truth="yes", data_source="mine", extra_info=7):
        return extra_info if (ground_truth, data_source) == ("yes", "mine") else 0

    assert numbers(adapt(compute_score, "mine")(some())) == [7, 7, 7]


def test_verl_finds_the_truth_where_its_data_has_it() -> None:
    rows = [{"style": "rule", "ground_truth": truth} for truth in (3, 4, 5)]
    graded = adapt(lambda solution_str, ground_truth: ground_truth, "mine")(some(reward_model=rows))
    assert numbers(graded) == [3, 4, 5]


def test_verl_may_return_dicts() -> None:
    def compute_score(data_source, solution_str, ground_truth, extra_info):
        if ground_truth == 0:
            return 0.25
        return {"score": ground_truth, "acc": ground_truth > 1, "pred": "x", "odd": math.nan}

    graded = adapt(compute_score, "mine")(some(ground_truth=[0, 1, 2]))
    assert numbers(graded) == [0.25, 1, 2]
    assert graded.metrics == {"objective/rewards/mine/acc": 0.5}  # of the two that have it
    without = message(lambda solution_str: {"points": 1})
    assert "no 'score'" in without and "points" in without and "answer 0 (' me')" in without


def test_plain_functions_get_texts() -> None:
    expected = [float(len(text)) for text in COMPLETIONS]

    def texts(texts):
        return [len(text) for text in texts]

    def texts_and_more(texts, scale=1.0, **_):
        return [len(text) * scale for text in texts]

    def completions(completions):
        return [len(text) for text in completions]

    for function in (texts, texts_and_more, completions, lambda anything: [len(text) for text in anything]):
        assert numbers(adapt(function, "mine")(some(messages=True))) == expected


def test_answers_are_given_whole() -> None:
    answers = some(label=[4, 5, 6])
    graded = adapt(lambda answers: [sum(tokens) for tokens in answers.tokens], "mine")(answers)
    assert numbers(graded) == [6, 22, 10]


class Judge:
    def __call__(self, texts) -> list[float]:
        return [1.0] * len(texts)

    def method(self, completions, label) -> list[float]:
        return label


def test_methods_callable_objects_partials_and_positional_only_parameters() -> None:
    def positional(prompts, missing=10, completions=(), /, *args):
        return [missing + len(text) for text in completions]

    def scaled(texts, scale):
        return [scale] * len(texts)

    answers = some(label=[4, 5, 6])
    assert numbers(adapt(Judge(), "mine")(answers)) == [1, 1, 1]
    assert numbers(adapt(Judge().method, "mine")(answers)) == [4, 5, 6]
    assert numbers(adapt(functools.partial(scaled, scale=3), "mine")(answers)) == [3, 3, 3]
    assert numbers(adapt(positional, "mine")(answers)) == [13, 27, 14]


@pytest.mark.parametrize(
    "function",
    [
        lambda: [],
        lambda prompts: [],
        lambda prompts, responses: [],
        lambda question, answer: [],
        lambda answers, label: [],
        lambda *texts: [],
        lambda *, texts: [],
    ],
)
def test_an_unknown_signature_lists_the_known_ones(function) -> None:
    with pytest.raises(PlauditError) as caught:
        adapt(function, "mine")
    assert all(signature in str(caught.value) for signature in SIGNATURES)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(PlauditError, match="'mine' is str, not a function"):
        adapt("length", "mine")  # type: ignore[arg-type]
    with pytest.raises(PlauditError, match="parameters cannot be found out; wrap it"):
        adapt(dict, "mine")


def test_a_missing_column_is_named() -> None:
    text = message(lambda completions, label: [], some(other=[1, 2, 3]))
    assert "`label`" in text and "other" in text
    assert "`tokenizer`" in message(lambda samples, tokenizer: [])


def test_async_functions_are_awaited_together() -> None:
    async def reward(completions, label):
        await asyncio.sleep(0.001)
        return label

    started = []

    async def compute_score(solution_str):
        started.append(solution_str)
        while len(started) < 3:  # returns only if all three are under way
            await asyncio.sleep(0.001)
        return {"score": len(solution_str)}

    answers = some(label=[4, 5, 6])
    for limit in (10.0, None):
        started.clear()
        assert numbers(adapt(reward, "mine", limit)(answers)) == [4, 5, 6]
        assert numbers(adapt(compute_score, "mine", limit)(answers)) == [3, 17, 4]

    async def notebook() -> list[float]:
        return [*numbers(adapt(reward, "mine", None)(answers)), *numbers(adapt(reward, "mine")(answers))]

    assert asyncio.run(notebook()) == [4, 5, 6, 4, 5, 6]


def test_no_answers_need_no_reward() -> None:
    def never(texts):
        raise AssertionError

    assert adapt(never, "mine")(Answers((), (), ())).scores.shape == (0,)


def test_answers_of_unequal_length_are_refused() -> None:
    with pytest.raises(PlauditError, match="completions has 2 entries for 3 prompts"):
        Answers(PROMPTS, COMPLETIONS[:2], TOKENS)
    with pytest.raises(PlauditError, match="column 'label' has 1 entries for 3 prompts"):
        some(label=[1])


def test_load_finds_functions(tmp_path: Path) -> None:
    file = tmp_path / "my rewards.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Scale:\n    by: 'float' = 2.0\n"
        "def reward(texts): return [Scale().by for _ in texts]\n"
        "def length(texts): return [len(text) for text in texts]\n"
        "other = 3\n"
    )
    assert numbers(adapt(load(str(file)), "mine")(some())) == [2, 2, 2]
    assert numbers(adapt(load(f"{file}:length"), "mine")(some())) == [3, 17, 4]
    with pytest.raises(PlauditError, match=r"my rewards.py: `lenght` is missing, did you mean length\?"):
        load(f"{file}:lenght")
    with pytest.raises(PlauditError, match="`quite` is missing, its functions: length, reward"):
        load(f"{file}:quite")
    with pytest.raises(PlauditError, match="`other` is int, not a function"):
        load(f"{file}:other")


@pytest.mark.parametrize("place", ["nowhere.py", "nowhere.py:reward", "nowhere", "plaudit:reward", ""])
def test_load_misses_files(place: str) -> None:
    with pytest.raises(PlauditError, match="no such Python file; give a reward as path/to/file.py:name"):
        load(place)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nimport nothing_of_this_name\n", "ModuleNotFoundError in line 2 of bad.py: No module named"),
        ("def reward(:\n", "SyntaxError: .*bad.py, line 1"),
        ("raise SystemExit(3)\n", "SystemExit in line 1 of bad.py: 3"),
    ],
)
def test_load_tells_what_an_import_raised(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    known = set(sys.modules)
    with pytest.raises(PlauditError, match=f"bad.py: importing it raised {told}.*; mend the file"):
        load(str(tmp_path / "bad.py"))
    assert {name for name in set(sys.modules) - known if name.startswith("plaudit_reward")} == set()


def test_files_of_the_same_name_do_not_meet(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rewards.py").write_text(f"def reward(texts): return ['{folder}']\n")
    first, second = (load(str(tmp_path / folder / "rewards.py")) for folder in ("a", "b"))
    assert (first([]), second([])) == (["a"], ["b"])
    assert sys.modules[first.__module__] is not sys.modules[second.__module__]
