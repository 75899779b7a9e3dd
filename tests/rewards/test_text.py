"""Learning a reward for text from comparisons: what is asked, in whose tokens it is read, its scale; and people who take
their time."""

import json
import math
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from plaudit.batches import Comparisons
from plaudit.environments.language.rollouts import Completions, generate
from plaudit.feedback import Comparison
from plaudit.feedback.text_record import TextRecord
from plaudit.likelihoods import bradley_terry
from plaudit.models.language import loading, reward_model
from plaudit.models.language.reward_model import texts
from plaudit.models.language.vocabulary import CHAT, Vocabulary
from plaudit.rewards.learned.fit import assess
from plaudit.rewards.learned.loop import Wanted
from plaudit.rewards.learned.terms import Likelihood, of_responses
from plaudit.rewards.text import CompletionQuestions, TextOptions, comparison, learned, same_tokens, sequence
from plaudit.runs.folder import RunFolder
from plaudit.stages import optimise
from plaudit.stages.adapters.language import LanguageTask
from plaudit.storage import Artifacts, open_store
from plaudit.storage.store import NewResponse, Response
from tests.text_world import World, made_of, quiet, write_rows


def build(config: Any, path: Path) -> LanguageTask:
    return LanguageTask(config, RunFolder.create(path, {}, "optimise", 0))


def asking(run: LanguageTask) -> CompletionQuestions:
    assert run.feedback is not None
    return run.feedback.questions


def wanted(count: int, prefix: str = "0/0", kind: str = "comparison") -> list[Wanted]:
    return [Wanted(f"{prefix}/{i}", kind, "train") for i in range(count)]


def said_once(run: LanguageTask) -> Completions:
    """A batch of completions."""
    return run.learner.rollouts.collect(run.models.policy)


def rewards_of(model: Any, items: list[TextRecord], spoken: Vocabulary) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack([model.rewards(texts([sequence(model, one, spoken)]))[0] for one in items])


# ---- asking ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_is_asked(world: World, tmp_path: Path) -> None:
    """Two answers to one prompt, every prompt before any comes again; the same questions when asked again."""
    run = build(world.config(), tmp_path / "r")
    questions, store, spoken = asking(run), run.store, run.models.generation.vocabulary
    assert store is not None
    state = questions.state_dict()
    asked = questions.ask(said_once(run), wanted(30), 0)
    assert len(asked) == 30 and len({query.key for query in asked}) == 30
    about = [[store.get(item) for item in query.items] for query in asked]
    for query, (one, other) in zip(asked, about, strict=True):
        assert one.prompt == other.prompt == query.payload["prompt"] and one != other
        assert one.prompt is not None and one.tokens is not None
        assert one.columns == {"ground_truth": one.prompt[5]}
        assert spoken.decode(one.tokens) == one.completion
        assert one.ended == (one.tokens[-1] == spoken.end)
    assert len({one.prompt for one, _ in about}) >= 27  # 36 prompts; a few pairs were the same
    assert questions.base == sorted({item for query in asked for item in query.items})
    questions.load_state_dict(state)
    assert questions.ask(said_once(run), wanted(30), 0) == asked
    base = list(questions.base)
    questions.ask(said_once(run), wanted(5, "3/1"), 3)
    assert questions.base == base  # later answers do not belong to the scale
    run.close()


def test_other_kinds_of_questions_are_about_answers_to_one_prompt_too(world: World, tmp_path: Path) -> None:
    run = build(world.config(), tmp_path / "r")
    store = run.store
    assert store is not None
    kinds = [Wanted(f"0/0/{i}", kind, "train") for i, kind in enumerate(["ranking", "rating", "binary"] * 2)]
    asked = asking(run).ask(said_once(run), kinds, 0)
    assert [query.kind for query in asked].count("rating") == 2 and len(
        {query.key for query in asked}
    ) == len(asked)
    for query in asked:
        about = [store.get(item) for item in query.items]
        assert len({one.prompt for one in about}) == 1 and len({one.completion for one in about}) == len(
            about
        )
        assert len(about) == {"ranking": 4, "rating": 1, "binary": 1}[query.kind]
        assert ("scale" in query.payload) == (query.kind == "rating")
    run.close()


def test_people_are_not_asked_about_the_same_text_twice(world: World, tmp_path: Path) -> None:
    """Also where it was sampled in other tokens, or one answer was cut off where the other ended."""
    run = build(world.config(), tmp_path / "r")
    said, store = said_once(run), run.store
    assert store is not None
    a, spoken, one = said.answers, run.models.generation.vocabulary, wanted(1)[0]
    other = replace(said, answers=replace(a, tokens=tuple((*t[:-1], spoken.end, 65) for t in a.tokens)))
    assert comparison(store, one, 0, (said, other), 0) is None
    assert not list((tmp_path / "r" / "artifacts").rglob("*.json")) and not store.loaded
    changed = replace(said, answers=replace(a, completions=tuple(c + "!" for c in a.completions)))
    asked = comparison(store, one, 0, (said, changed), 0)
    assert asked is not None and store.get(asked.items[1]).completion == a.completions[0] + "!"
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

        with torch.no_grad():
            scores = torch.stack([model(side) for side in sides], dim=1)
        metrics = assess(scores, said, Likelihood(bradley_terry, bradley_terry.Config()))
        accuracy.append(metrics["reward/accuracy"]), nll.append(metrics["reward/nll"])
        assert float(model.model.score.weight.detach().std()) == pytest.approx((16 + 1) ** -0.5, rel=0.6)
    assert sum(accuracy) / 8 == pytest.approx(0.5, abs=0.1)
    assert sum(nll) / 8 == pytest.approx(math.log(2), abs=0.12)


@pytest.mark.slow
def test_the_scale_is_that_of_the_first_answers(world: World, tmp_path: Path) -> None:
    """Mean 0 and variance 1 over the answers asked about at the start, after the first fit and after every other."""
    config = world.config(
        reward={"fit": {"first_steps": 20, "steps": 10, "minibatch_size": 4, "learning_rate": 0.01}}
    )
    run = build(config, tmp_path / "r")
    model, store = run.models.reward, run.store
    assert run.feedback is not None and model is not None and store is not None
    seen = []
    for _ in range(4):
        run.learner.step()
        first = [q for q in run.feedback.session.store.queries() if q.tick == 0]
        items = sorted({item for query in first for item in query.items})
        scores = rewards_of(model, [store.get(item) for item in items], run.models.generation.vocabulary)
        assert float(scores.mean()) == pytest.approx(0, abs=1e-5)
        assert float(scores.var()) == pytest.approx(1, abs=1e-4)
        seen.append((run.feedback.fits, scores))
    assert [fits for fits, _ in seen] == [1, 1, 2, 3]
    assert torch.equal(seen[0][1], seen[1][1]) and not torch.equal(seen[1][1], seen[2][1])
    run.close()


def test_one_first_answer_of_a_person_fixes_the_scale_over_all_that_was_asked(
    world: World, tmp_path: Path
) -> None:
    """Two texts have a scale of their own, and any: the rewards would be of any size."""
    run = build(world.config(feedback={"people": []}, gold_reward=None), tmp_path / "r")
    questions, store, model = asking(run), run.store, run.models.reward
    assert run.feedback is not None and store is not None and model is not None
    said = said_once(run)
    asked = questions.ask(said, wanted(8), 0)
    pair = Comparison((asked[0].items[0], asked[0].items[1]), "first")
    run.feedback.trainer.fit(of_responses([answered(1, pair)]))
    questions.normalise(said, True)
    items = [store.get(item) for item in sorted({i for query in asked for i in query.items})]
    scores = rewards_of(model, items, run.models.generation.vocabulary)
    assert len(scores) > 8 and float(scores.var()) == pytest.approx(1, abs=1e-4)
    run.close()


def answered(number: int, said: Comparison) -> Any:
    return Response(number, number, f"u{number}", number, "p", said, (0, 1), None, None, 0.0)


def test_terms_hold_what_was_said(world: World, tmp_path: Path) -> None:
    run = build(world.config(), tmp_path / "r")
    store, spoken = run.store, run.models.generation.vocabulary
    assert run.feedback is not None and store is not None
    asked = asking(run).ask(said_once(run), wanted(5), 0)
    said = ["first", "second", "equal", "skip", "both_bad"]
    answers = [
        answered(i, Comparison((query.items[0], query.items[1]), answer))
        for i, (query, answer) in enumerate(zip(asked, said, strict=True))
    ]
    pairs, marks = run.feedback.trainer.terms(of_responses(answers))
    assert isinstance(pairs.judgements, Comparisons)
    assert pairs.judgements.preference.tolist() == [1.0, 0.0, 0.5]
    for term, rows in ((pairs, [0, 1, 2]), (marks, [4])):
        options = term.options
        assert isinstance(options, TextOptions)
        flat = options.ids.flatten(end_dim=1), options.lengths.flatten()
        stored = [store.get(item) for row in rows for item in asked[row].items]
        assert len(stored) == len(flat[1])
        for ids, length, one in zip(*flat, stored, strict=True):
            assert one.tokens is not None
            assert ids[: int(length)].tolist() == [*spoken.encode(str(one.prompt)), *one.tokens]
    assert (pairs.kind, marks.kind) == ("comparison", "rating")
    assert run.feedback.trainer.terms(of_responses(answers[3:4])) == []
    run.close()


# ---- in whose tokens -------------------------------------------------------------------------------------------------


@pytest.mark.slow
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
        TextRecord(text[:7], text[7:], tokens=(*ours.vocabulary.encode(text[7:]), ours.vocabulary.end), ended=True)
        for text in said
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
    model, own = run.models.reward, run.models.generation.vocabulary
    assert model is not None
    assert own.tokenizer.pad_token_id is None and model.vocabulary.tokenizer.pad_token_id is not None
    assert same_tokens(model.vocabulary, own)
    odd = [own.encode(letter)[0] for letter in "saysay"]  # letters one by one, as it would not be encoded
    assert own.encode("saysay") != odd
    said = TextRecord("say ka:", own.decode(odd), tokens=tuple(odd), ended=False)
    assert sequence(model, said, own) == [*own.encode("say ka:"), *odd]
    run.close()


def test_a_reward_model_with_another_tokenizer(world: World, tmp_path: Path) -> None:
    """It reads the text in its own tokens; the policy still learns from those it sampled."""
    other = made_of("zebra quartz ", tmp_path / "other")
    run = build(world.config(reward={"start": str(other)}), tmp_path / "r")
    model, spoken = run.models.reward, run.models.generation.vocabulary
    assert model is not None
    own = model.vocabulary
    assert not same_tokens(own, spoken)
    said = TextRecord("say ka:", " zebra", tokens=(1, 2, 3), ended=True)
    assert sequence(model, said, spoken) == [*own.encode("say ka:"), *own.encode(" zebra"), own.end]
    assert sequence(model, replace(said, ended=False), spoken)[-1] != own.end
    talk = said_once(run)
    paid = learned(model, spoken)(talk)
    rollout = run.learner.rollouts.episodes(talk, run.models.policy, None, paid)
    record = rollout.record
    for row, tokens in enumerate(talk.answers.tokens):
        columns = record.decisions[row][record.decisions[row] > 0]
        assert record.ids[row, columns].tolist() == list(tokens)
        text = talk.answers.prompts[row] + talk.answers.completions[row]
        ids = own.encode(talk.answers.prompts[row]) + own.encode(talk.answers.completions[row])
        ids += [own.end] if talk.ended[row] else []
        assert text == own.decode(ids)
        with torch.no_grad():
            expected = float(model(texts([ids]))[0])
        assert rollout.episodes.rewards[row, len(tokens) - 1] == pytest.approx(expected, abs=1e-5)
    for _ in range(2):
        run.learner.step()
    run.close()


def test_messages_go_through_the_reward_models_own_template(world: World, tmp_path: Path) -> None:
    other = made_of("zebra quartz <|user|>", tmp_path / "other")
    model = reward_model.begin(str(other), torch.Generator().manual_seed(0))
    own = model.vocabulary
    own.tokenizer.chat_template = CHAT.replace("<|' + message['role'] + '|>", "[' + message['role'] + '] ")
    _, spoken = loading.load(str(world.lm))
    messages = [{"role": "user", "content": "zebra?"}]
    said = TextRecord("<|user|>zebra?\n<|assistant|>", "quartz", tuple(messages), (1,), True)
    text = own.decode(sequence(model, said, spoken))
    assert text == "[user] zebra?\n<|assistant|>quartz"
    own.tokenizer.chat_template = None
    assert own.decode(sequence(model, said, spoken)) == "<|user|>zebra?\n<|assistant|>quartz"


def test_what_the_reward_model_does_not_read_is_cut_at_its_beginning(world: World, tmp_path: Path) -> None:
    short = made_of("zebra quartz ", tmp_path / "short", context=8)
    model = reward_model.begin(str(short), torch.Generator().manual_seed(0))
    _, spoken = loading.load(str(world.lm))
    said = TextRecord("one two three four five", " zebra", tokens=(1,), ended=True)
    whole = [*model.vocabulary.encode("one two three four five zebra"), model.vocabulary.end]
    assert len(whole) > 8 and sequence(model, said, spoken) == whole[-8:]
    run = build(world.config(), tmp_path / "r")
    generation = run.models.generation
    long = generate(
        run.models.policy, run.models.prompts.train[:3], generation, torch.Generator().manual_seed(0)
    )
    assert learned(model, generation.vocabulary)(long).scores.shape == (3,)
    run.close()


def test_conversations_are_answered_and_judged(world: World, tmp_path: Path) -> None:
    """Prompts as messages: people and rewards see the template's text, the stored answer keeps the messages."""
    rows = [{"prompt": [{"role": "user", "content": word}]} for word in ("ka", "lo", "mi", "pu", "re", "ni")]
    file = write_rows(tmp_path / "prompts.jsonl", rows)
    _, spoken = loading.load(str(made_of("<|user|>ka\n<|assistant|>", tmp_path / "lm", context=64)))
    config = world.config(
        start=str(tmp_path / "lm"), environment={"prompts": str(file), "held_out": 0.3},
        feedback={"labels": 4, "first": 4}, updates=1,
    )  # fmt: skip
    run = build(config, tmp_path / "r")
    run.learner.step()
    assert run.feedback is not None and run.store is not None and run.models.reward is not None
    for query in run.feedback.session.store.queries():
        said = run.store.get(query.items[0])
        assert said.messages is not None and said.tokens is not None
        assert said.messages[0]["role"] == "user"
        word = said.messages[0]["content"]
        assert said.prompt == f"<|user|>{word}\n<|assistant|>"
        read = sequence(run.models.reward, said, spoken)
        assert read == [*spoken.prompt([dict(one) for one in said.messages]), *said.tokens]
    run.close()


# ---- people who take their time --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_waits_for_people_and_learns_from_what_they_say(world: World, tmp_path: Path) -> None:
    """Somebody answers through a store of their own, as the labelling server does; the run goes on at the first one."""
    config = world.config(
        feedback={"labels": 6, "first": 6, "people": []}, gold_reward=None, updates=3, checkpoint_every=1
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
    assert rows[0]["time/seconds"] > 0.9 and "reward/held_out_accuracy" in rows[1]
    assert folder.read_manifest()["result"]["win_by"] == "learned reward"


def learner_text(path: Path, item: str) -> str:
    return json.loads(Artifacts(path / "artifacts").get(item))["completion"]
