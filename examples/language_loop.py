"""A language model learns from human preferences, the whole loop on one page (Ouyang et al. 2022, arXiv:2203.02155).

A small model learns to write and to answer customers as clerks do: some polite, some rude, some wrong. People compare
pairs of its answers; a reward model learns what they like; PPO makes the model do more of it. What the simulated
person judges by, a rubric, is never seen by anything that learns.

    python examples/language_loop.py --seed 0
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from plaudit.algorithms.imitation import bc
from plaudit.algorithms.on_policy import ppo
from plaudit.annotators import rubric
from plaudit.batches import Comparisons, Demonstrations
from plaudit.batches.rows import take
from plaudit.environments.language import service
from plaudit.environments.language.answers import Answers, Rewards
from plaudit.environments.language.rollouts import LanguageRollouts, GenerationConfig, Completions, talk
from plaudit.environments.language.prompts import Prompt, PromptQueue
from plaudit.likelihoods import bradley_terry
from plaudit.models.language import loading, reward_model, tokens
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import LanguagePolicy, PolicyConfig
from plaudit.models.language.reward_model import TextPairs, TextReward, Texts, pair_scores, texts
from plaudit.models.language.vocabulary import Vocabulary, train_bpe
from plaudit.trainers import on_policy, supervised
from plaudit.rewards.learned import fit as reward_fit
from plaudit.trainers.steps import AdamOptimiser
from plaudit.rewards.learned.fit import Likelihood

SMALL = loading.NewModel(layers=2, width=208, heads=4, vocabulary=512, context=192)
PPO = ppo.Config(discount=1.0, kl_in_reward=0.05, value_coef=0.1)
DESCENT = on_policy.Config(learning_rate=3e-4, epochs=4, minibatch_size=16, max_grad_norm=1.0)
LIKELIHOOD = Likelihood(bradley_terry, bradley_terry.Config())
FIT = reward_fit.Config(learning_rate=5e-4, minibatch_size=32, schedule="linear", max_grad_norm=1.0)


def imitate(
    model: LanguagePolicy, code: Vocabulary, cases: Sequence[service.ServiceCase], rate: float
) -> None:
    """Learn to write what is in the cases, token by token (cloning; of tokens it is called fine-tuning)."""
    record = tokens.whole([[*code.encode(c.prompt + c.completion), code.end] for c in cases])
    data = Demonstrations(record.mask, record)
    how = supervised.Config(
        rate, weight_decay=0.0, epochs=1, minibatch_size=16, schedule="linear", max_grad_norm=1.0
    )
    task, generator = supervised.Task(bc, bc.Config(), how), torch.Generator().manual_seed(0)
    for seen in supervised.train(model, data, take(data, slice(0, 100)), task, generator):
        print(f"imitation: {seen['val/nll_avg']:.3f} nats per token")


def prompts(cases: Sequence[service.ServiceCase], code: Vocabulary) -> list[Prompt]:
    """What customers ask, with the facts that a truthful answer states."""
    return [Prompt(tuple(code.encode(c.prompt)), c.prompt, {"facts": c.facts}) for c in cases]


def felt(said: Completions) -> Tensor:
    """The person: how polite, short and true every answer is. Nothing that learns sees this."""
    facts = said.answers.columns["facts"]
    return torch.tensor([rubric.score(c, f) for c, f in zip(said.answers.completions, facts, strict=True)])


def tokens_of(answers: Answers, code: Vocabulary) -> Texts:
    """Prompts with their answers, as the reward model reads them."""
    return texts([[*code.encode(p), *t] for p, t in zip(answers.prompts, answers.tokens, strict=True)])


def learn_reward(
    model: TextReward, first: Completions, second: Completions, steps: int, generator: torch.Generator
) -> float:
    """Ask which of two answers is better, learn from what is said; returns the accuracy on a tenth kept aside."""
    said = Comparisons((felt(first) - felt(second)).sign() / 2 + 0.5)
    sides = [tokens_of(answered.answers, model.vocabulary) for answered in (first, second)]
    pairs, count = TextPairs(sides[0], sides[1], said), len(said.preference)
    train, test = take(pairs, slice(count // 10, count)), take(pairs, slice(0, count // 10))
    optimiser, plan = AdamOptimiser(model.parameters(), weight_decay=FIT.weight_decay), (FIT, steps)
    scores = lambda _: lambda part: pair_scores(model, part)[None]  # noqa: E731
    reward_fit.fit(scores, optimiser, train, LIKELIHOOD, plan, generator)
    model.standardise(train.first)
    with torch.no_grad():
        return reward_fit.assess(pair_scores(model, test), test.judgements, LIKELIHOOD)["reward/accuracy"]


def main(lessons: int, labels: int, updates: int, seed: int) -> float:
    """Run the loop; returns how often the answers in the end are better than those before PPO (a tie is half)."""
    torch.set_num_threads(1)
    generator, draws = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    clerks, unseen = service.cases(lessons, draws), service.cases(100, draws, held_out=True)
    plain = service.cases(lessons, draws, style=service.PLAIN)
    code = Vocabulary(train_bpe([c.prompt + c.completion for c in clerks], SMALL.vocabulary), "small")
    policy = LanguagePolicy(loading.make(SMALL, code, generator), PolicyConfig(), generator)
    imitate(policy, code, [*plain, *clerks], 6e-3)  # 1. learn to write, and to answer as clerks do

    speech = GenerationConfig(code, code.stops(), Sampling(max_new_tokens=96))
    asked, test = prompts(clerks, code), prompts(unseen, code)
    with tempfile.TemporaryDirectory() as folder:
        loading.save(Path(folder), policy.lm, code)
        reward = reward_model.begin(folder, generator)
        reference = LanguagePolicy(loading.load(folder)[0], PolicyConfig(critic="none"), generator)
    pairs = [talk(policy, asked[:labels], speech, generator) for _ in range(2)]  # 2. ask people about them
    right = learn_reward(reward, *pairs, labels // 4, generator)  # 3. learn what they want
    print(f"the reward model foresees {right:.0%} of answers it has not learned from")

    world = LanguageRollouts(PromptQueue(asked, generator), speech, 64, generator)
    learner, state = on_policy.Learner(ppo, PPO, DESCENT), on_policy.start(policy, DESCENT, generator)
    while state.updates < updates:  # 4. do more of it, at a price for leaving the reference
        with torch.no_grad():
            rollout = world.collect(policy, reference, lambda a: Rewards(reward(tokens_of(a, code))))
        on_policy.update(state, rollout, learner, 1 - state.updates / updates)
        if state.updates % 5 == 0:
            seen = state.metrics
            print(f"update {state.updates:3}  reward {seen['objective/scores']:5.2f}  "
                  f"KL {seen['objective/kl_per_answer']:5.1f} nats per answer")  # fmt: skip

    said = [talk(model, test, speech, torch.Generator().manual_seed(1)) for model in (reference, policy)]
    before, after = map(felt, said)
    wins = ((after > before).float() + 0.5 * (after == before).float()).mean().item()
    print(
        f"better than before on {wins:.0%} of new prompts; rubric {before.mean():.2f} -> {after.mean():.2f}"
    )
    return wins


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lessons", type=int, default=3200, help="dialogues of each kind to imitate")
    parser.add_argument("--labels", type=int, default=400, help="comparisons the person answers")
    parser.add_argument("--updates", type=int, default=40, help="updates of PPO")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything")
    given = parser.parse_args()
    main(given.lessons, given.labels, given.updates, given.seed)
