"""Learning a reward for text from comparisons: what is asked, in whose tokens it is read, its scale; and people who take
their time."""

import json
import math
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from plaudit.batches import Comparisons
from plaudit.environments.language.answers import Answers
from plaudit.feedback import Comparison
from plaudit.likelihoods import bradley_terry
from plaudit.models.language import loading, reward_model
from plaudit.models.language.reward_model import TextPairs, pair_scores, texts
from plaudit.models.language.vocabulary import CHAT, Vocabulary
from plaudit.rewards.learned.loop import foretold
from plaudit.rewards.text import LanguageTeaching, learned, question, same_tokens, sequence
from plaudit.runs.folder import RunFolder
from plaudit.stages import optimise
from plaudit.stages.adapters.language import LanguageRun
from plaudit.storage import Artifacts, open_store
from plaudit.storage.store import NewResponse, Response
from tests.text_world import World, made_of, quiet, write_rows


def build(config: Any, path: Path) -> LanguageRun:
    return LanguageRun(config, RunFolder.create(path, {}, "optimise", 0))


def teaching(run: LanguageRun) -> LanguageTeaching:
    assert run.preferences is not None
    return run.preferences.learner


def rewards_of(model: Any, items: list[dict[str, Any]], spoken: Vocabulary) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack([model.rewards(texts([sequence(model, one, spoken)]))[0] for one in items])


# ---- asking ----------------------------------------------------------------------------------------------------------


def test_what_is_asked(world: World, tmp_path: Path) -> None:
    """Two answers to one prompt, every prompt before any comes again; the same questions when asked again."""
    run = build(world.config(), tmp_path / "r")
    learner = teaching(run)
    state = learner.state_dict()
    asked = learner.questions(run.state.policy, 30, "0/0", 0)
    assert len(asked) == 30 and len({query.key for query in asked}) == 30
    about = [[learner.archive.get(item) for item in query.items] for query in asked]
    for query, (one, other) in zip(asked, about, strict=True):
        assert one["prompt"] == other["prompt"] == query.payload["prompt"] and one != other
        assert one["columns"] == {"ground_truth": one["prompt"][5]}
        assert run.parts.speech.vocabulary.decode(one["tokens"]) == one["completion"]
        assert one["ended"] == (one["tokens"][-1] == run.parts.speech.vocabulary.end)
    assert len({one["prompt"] for one, _ in about}) >= 27  # 36 prompts; a few pairs were the same
    assert learner.base == sorted({item for query in asked for item in query.items})
    learner.load_state_dict(state)
    assert learner.questions(run.state.policy, 30, "0/0", 0) == asked
    base = list(learner.base)
    learner.questions(run.state.policy, 5, "3/1", 3)
    assert learner.base == base  # later answers do not belong to the scale
    run.close()


def test_people_are_not_asked_about_the_same_text_twice(world: World, tmp_path: Path) -> None:
    """Also where it was sampled in other tokens, or one answer was cut off where the other ended."""
    run = build(world.config(), tmp_path / "r")
    said = run.language.talk(run.state.policy)
    a, spoken = said.answers, run.parts.speech.vocabulary
    other = replace(said, answers=replace(a, tokens=tuple((*t[:-1], spoken.end, 65) for t in a.tokens)))
    archive = teaching(run).archive
    assert question(archive, "k", 0, (said, other), 0) is None
    assert not list((tmp_path / "r" / "artifacts").rglob("*.json")) and not archive.loaded
    changed = replace(said, answers=replace(a, completions=tuple(c + "!" for c in a.completions)))
    asked = question(archive, "k", 0, (said, changed), 0)
    assert asked is not None and archive.get(asked.items[1])["completion"] == a.completions[0] + "!"
    run.close()


# ---- the untrained model and the scale ---------------------------------------------------------------------------------


def test_an_untrained_reward_knows_nothing(world: World) -> None:
    """Accuracy about one half, nll about ln 2, over several heads."""
    draws = torch.Generator().manual_seed(5)
    accuracy, nll = [], []
    for seed in range(8):
        model = reward_model.begin(str(world.lm), torch.Generator().manual_seed(seed))
        own = model.vocabulary
        sides = [
            texts([
                [*own.prompt(f"say {w}:"), *own.completion(f" {c * n}", f"say {w}:")]
                for w in ("ka", "lo", "mi", "pu", "re") for n in (1, 2, 4)
            ])
            for c in ("a", "b")
        ]  # fmt: skip
        said = Comparisons(torch.randint(0, 2, (15,), generator=draws).float())

        learner = SimpleNamespace(
            likelihood=bradley_terry.Config(), returns=lambda pairs, m=model: pair_scores(m, pairs).detach()
        )
        metrics = foretold(learner, TextPairs(*sides, said))
        accuracy.append(metrics["reward/fresh_accuracy"]), nll.append(metrics["reward/fresh_nll"])
        assert float(model.model.score.weight.detach().std()) == pytest.approx((16 + 1) ** -0.5, rel=0.6)
    assert sum(accuracy) / 8 == pytest.approx(0.5, abs=0.1)
    assert sum(nll) / 8 == pytest.approx(math.log(2), abs=0.12)


def test_the_scale_is_that_of_the_first_answers(world: World, tmp_path: Path) -> None:
    """Mean 0 and variance 1 over the answers asked about at the start, after the first fit and after every other."""
    config = world.config(
        reward={"fit": {"first_steps": 20, "steps": 10, "minibatch": 4, "learning_rate": 0.01}}
    )
    run = build(config, tmp_path / "r")
    learner = teaching(run)
    assert run.preferences is not None
    seen = []
    for _ in range(4):
        run.tick()
        first = [q for q in run.preferences.desk.store.queries() if q.tick == 0]
        items = sorted({item for query in first for item in query.items})
        scores = rewards_of(
            learner.model, [learner.archive.get(item) for item in items], run.parts.speech.vocabulary
        )
        assert float(scores.mean()) == pytest.approx(0, abs=1e-5)
        assert float(scores.var()) == pytest.approx(1, abs=1e-4)
        seen.append((run.preferences.fits, scores))
    assert [fits for fits, _ in seen] == [1, 1, 2, 3]
    assert torch.equal(seen[0][1], seen[1][1]) and not torch.equal(seen[1][1], seen[2][1])
    run.close()


def test_one_first_answer_of_a_person_fixes_the_scale_over_all_that_was_asked(
    world: World, tmp_path: Path
) -> None:
    """Two texts have a scale of their own, and any: the rewards would be of any size."""
    run = build(world.config(feedback={"people": []}, hidden=None), tmp_path / "r")
    learner = teaching(run)
    asked = learner.questions(run.state.policy, 8, "0/0", 0)
    pair = Comparison((asked[0].items[0], asked[0].items[1]), "first")
    pairs = learner.pairs([answered(1, pair)])
    assert pairs is not None and pairs.first.ids.shape[0] == 1
    learner.fit(pairs, True)
    items = [learner.archive.get(item) for item in sorted({i for query in asked for i in query.items})]
    scores = rewards_of(learner.model, items, run.parts.speech.vocabulary)
    assert len(scores) > 8 and float(scores.var()) == pytest.approx(1, abs=1e-4)
    run.close()


def answered(number: int, said: Comparison) -> Any:
    return Response(number, number, f"u{number}", number, "p", said, (0, 1), None, None, 0.0)


def test_pairs_hold_what_was_said(world: World, tmp_path: Path) -> None:
    run = build(world.config(), tmp_path / "r")
    learner = teaching(run)
    asked = learner.questions(run.state.policy, 5, "0/0", 0)
    said = ["first", "second", "equal", "skip", "both_bad"]
    answers = [
        answered(i, Comparison((query.items[0], query.items[1]), answer))
        for i, (query, answer) in enumerate(zip(asked, said, strict=True))
    ]
    pairs = learner.pairs(answers)
    assert pairs is not None and pairs.judgements.preference.tolist() == [1.0, 0.0, 0.5]
    for row in range(3):
        for side, group in enumerate((pairs.first, pairs.second)):
            stored = learner.archive.get(asked[row].items[side])
            whole = [*run.parts.speech.vocabulary.encode(stored["prompt"]), *stored["tokens"]]
            assert group.ids[row, : int(group.lengths[row])].tolist() == whole
    assert learner.pairs(answers[3:]) is None
    run.close()


# ---- in whose tokens -------------------------------------------------------------------------------------------------


def test_the_saved_model_is_everybodys(world: World, tmp_path: Path) -> None:
    """AutoModelForSequenceClassification gives the same scores, so the rewards but for zero and scale."""
    folder = optimise.start(world.config(), tmp_path / "run", quiet)
    ours = reward_model.begin(str(folder.path / "reward"), torch.Generator())
    theirs = AutoModelForSequenceClassification.from_pretrained(folder.path / "reward")
    tokenizer = AutoTokenizer.from_pretrained(folder.path / "reward")
    said = [f"say {word}:{answer}" for word in ("ka", "mu", "pe") for answer in (" a", " bb", " caca", "")]
    batch = tokenizer([text + tokenizer.eos_token for text in said], return_tensors="pt", padding=True)
    with torch.no_grad():
        given = theirs(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
    mine = rewards_of(ours, [
        {"prompt": text[:7], "completion": text[7:], "tokens": [*ours.vocabulary.encode(text[7:]), ours.vocabulary.end],
         "ended": True} for text in said
    ], ours.vocabulary)  # fmt: skip
    assert torch.allclose(mine / ours.scale + ours.offset, given, atol=1e-5)
    assert ours.offset != 0 and ours.scale != 1
    assert torch.equal(mine.argsort(), given.argsort())


def test_a_padding_token_more_does_not_change_the_tokens(world: World, tmp_path: Path) -> None:
    """GPT-2 has no padding: the reward model on its trunk gets one and still reads the very tokens sampled."""
    lm, spoken = loading.load(str(world.lm))
    spoken.tokenizer.pad_token = None
    loading.save(tmp_path / "lm", lm, spoken)
    run = build(world.config(start=str(tmp_path / "lm")), tmp_path / "r")
    learner, own = teaching(run), run.parts.speech.vocabulary
    assert own.tokenizer.pad_token_id is None and learner.model.vocabulary.tokenizer.pad_token_id is not None
    assert same_tokens(learner.model.vocabulary, own)
    odd = [own.encode(letter)[0] for letter in "saysay"]  # letters one by one, as it would not be encoded
    assert own.encode("saysay") != odd
    said = {"prompt": "say ka:", "completion": own.decode(odd), "tokens": odd, "ended": False}
    assert sequence(learner.model, said, own) == [*own.encode("say ka:"), *odd]
    run.close()


def test_a_reward_model_with_another_tokenizer(world: World, tmp_path: Path) -> None:
    """It reads the text in its own tokens; the policy still learns from those it sampled."""
    other = made_of("zebra quartz ", tmp_path / "other")
    run = build(world.config(reward={"start": str(other)}), tmp_path / "r")
    learner, spoken = teaching(run), run.parts.speech.vocabulary
    own = learner.model.vocabulary
    assert not same_tokens(own, spoken)
    said = {"prompt": "say ka:", "completion": " zebra", "tokens": [1, 2, 3], "ended": True}
    assert sequence(learner.model, said, spoken) == [*own.encode("say ka:"), *own.encode(" zebra"), own.end]
    assert sequence(learner.model, said | {"ended": False}, spoken)[-1] != own.end
    talk = run.language.talk(run.state.policy)
    rollout = run.language.judge(talk, run.state.policy, None, learned(learner.model, run.parts.speech))
    record = rollout.record
    for row, tokens in enumerate(talk.answers.tokens):
        columns = record.decisions[row][record.decisions[row] > 0]
        assert record.ids[row, columns].tolist() == list(tokens)
        text = talk.answers.prompts[row] + talk.answers.completions[row]
        ids = own.encode(talk.answers.prompts[row]) + own.encode(talk.answers.completions[row])
        ids += [own.end] if talk.ended[row] else []
        assert text == own.decode(ids)
        with torch.no_grad():
            expected = float(learner.model(texts([ids]))[0])
        assert rollout.episodes.rewards[row, len(tokens) - 1] == pytest.approx(expected, abs=1e-5)
    for _ in range(2):
        run.tick()
    run.close()


def test_messages_go_through_the_reward_models_own_template(world: World, tmp_path: Path) -> None:
    other = made_of("zebra quartz <|user|>", tmp_path / "other")
    model = reward_model.begin(str(other), torch.Generator().manual_seed(0))
    own = model.vocabulary
    own.tokenizer.chat_template = CHAT.replace("<|' + message['role'] + '|>", "[' + message['role'] + '] ")
    _, spoken = loading.load(str(world.lm))
    messages = [{"role": "user", "content": "zebra?"}]
    said = {
        "prompt": "<|user|>zebra?\n<|assistant|>", "completion": "quartz", "tokens": [1], "ended": True,
        "messages": messages,
    }  # fmt: skip
    text = own.decode(sequence(model, said, spoken))
    assert text == "[user] zebra?\n<|assistant|>quartz"
    own.tokenizer.chat_template = None
    assert own.decode(sequence(model, said, spoken)) == "<|user|>zebra?\n<|assistant|>quartz"


def test_what_the_reward_model_does_not_read_is_cut_at_its_beginning(world: World, tmp_path: Path) -> None:
    short = made_of("zebra quartz ", tmp_path / "short", context=8)
    model = reward_model.begin(str(short), torch.Generator().manual_seed(0))
    _, spoken = loading.load(str(world.lm))
    said = {"prompt": "one two three four five", "completion": " zebra", "tokens": [1], "ended": True}
    whole = [*model.vocabulary.encode("one two three four five zebra"), model.vocabulary.end]
    assert len(whole) > 8 and sequence(model, said, spoken) == whole[-8:]
    answers = Answers((said["prompt"],), (" zebra",), ((1, 0),))
    run = build(world.config(), tmp_path / "r")
    assert learned(model, run.parts.speech)(answers).scores.shape == (1,)
    run.close()


def test_conversations_are_answered_and_judged(world: World, tmp_path: Path) -> None:
    """Prompts as messages: people and rewards see the template's text, the stored answer keeps the messages."""
    rows = [{"prompt": [{"role": "user", "content": word}]} for word in ("ka", "lo", "mi", "pu", "re", "ni")]
    file = write_rows(tmp_path / "prompts.jsonl", rows)
    _, spoken = loading.load(str(made_of("<|user|>ka\n<|assistant|>", tmp_path / "lm", context=64)))
    config = world.config(
        start=str(tmp_path / "lm"), language={"prompts": str(file), "held_out": 0.3},
        feedback={"labels": 4, "first": 4}, updates=1,
    )  # fmt: skip
    run = build(config, tmp_path / "r")
    run.tick()
    assert run.preferences is not None
    for query in run.preferences.desk.store.queries():
        said = teaching(run).archive.get(query.items[0])
        assert said["messages"][0]["role"] == "user"
        word = said["messages"][0]["content"]
        assert said["prompt"] == f"<|user|>{word}\n<|assistant|>"
        read = sequence(teaching(run).model, said, spoken)
        assert read == [*spoken.prompt(said["messages"]), *said["tokens"]]
    run.close()


# ---- people who take their time --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_waits_for_people_and_learns_from_what_they_say(world: World, tmp_path: Path) -> None:
    """Somebody answers through a store of their own, as the labelling server does; the run goes on at the first one."""
    config = world.config(
        feedback={"labels": 6, "first": 6, "people": []}, hidden=None, updates=3, checkpoint_every=1
    )
    path, rows, said = tmp_path / "run", [], []

    def answer(store: Any) -> None:
        while (query := store.claim("ann", 60.0)) is None:
            time.sleep(0.05)
        # she likes the shorter answer
        lengths = [len(learner_text(path, item)) for item in query.items]
        choice = "first" if lengths[0] < lengths[1] else "second"
        store.submit(NewResponse(f"u{query.id}", query.id, "ann",
                                 Comparison((query.items[0], query.items[1]), choice), query.shown_order))  # fmt: skip
        said.append((query.id, len(rows)))

    def person() -> None:
        while not (path / "feedback.db").exists():
            time.sleep(0.05)
        store = open_store(path / "feedback.db")
        try:
            time.sleep(1.0)  # nothing happens until then
            answer(store)
            while len(rows) < 1:
                time.sleep(0.02)
            for _ in range(2):
                answer(store)
        finally:
            store.close()

    def watch(row: dict[str, Any]) -> None:
        rows.append(row)
        deadline = time.monotonic() + 30
        while len(rows) == 1 and len(said) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)

    thread = threading.Thread(target=person)
    thread.start()
    folder = optimise.start(config, path, watch)
    thread.join()
    assert [count for _, count in said] == [0, 1, 1]  # the first answer came before the first row
    assert [row["feedback/labels"] for row in rows] == [1, 3, 3]
    assert rows[0]["time/seconds"] > 0.9 and "reward/fresh_accuracy" in rows[1]
    assert folder.read_manifest()["result"]["win_by"] == "learned reward"


def learner_text(path: Path, item: str) -> str:
    return json.loads(Artifacts(path / "artifacts").get(item))["completion"]
