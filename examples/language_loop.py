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
from plaudit.batches import Demonstrations, Rewards
from plaudit.batches.rows import take
from plaudit.environments.language import service
from plaudit.environments.language.prompts import Prompt, PromptQueue
from plaudit.environments.language.rollouts import Completions, GenerationConfig, LanguageRollouts, generate
from plaudit.maths.kl import Kl
from plaudit.models.language import loading, reward_model, tokens
from plaudit.models.language.config import NewModel, PolicyConfig
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import LanguagePolicy
from plaudit.models.language.reward_model import texts
from plaudit.models.language.vocabulary import Vocabulary, train_bpe
from plaudit.rewards.learned import fit
from plaudit.rewards.learned.calibration import forecast
from plaudit.rewards.learned.terms import Judgement
from plaudit.rewards.learned.trainer import LearnedConfig, RewardTrainer
from plaudit.rewards.text import CompletionReward
from plaudit.rewards.weighted import Fixed
from plaudit.trainers import on_policy, supervised
from plaudit.trainers.on_policy import Algorithm, OnPolicy, Updater

SMALL = NewModel(layers=2, width=208, heads=4, vocabulary=512, context=192)
PPO = Algorithm(ppo, ppo.Config(kl=Kl(0.05), value_coef=0.1), "ppo")
DESCENT = on_policy.Config(learning_rate=3e-4, epochs=4, minibatch_size=16, max_grad_norm=1.0)
FIT = fit.Config(learning_rate=5e-4, minibatch_size=32, schedule="linear", max_grad_norm=1.0)


def imitate(
    model: LanguagePolicy, code: Vocabulary, cases: Sequence[service.ServiceCase], rate: float
) -> None:
    """Learn to write what is in the cases, token by token (cloning; of tokens it is called fine-tuning)."""
    record = tokens.whole([[*code.encode(c.prompt + c.completion), code.end] for c in cases])
    data, shuffles = Demonstrations(record.mask, record), torch.Generator().manual_seed(0)
    how = supervised.Config(
        rate, weight_decay=0.0, epochs=1, minibatch_size=16, schedule="linear", max_grad_norm=1.0
    )
    cloning = Algorithm(bc, bc.Config(), "bc")
    learner = supervised.Supervised(model, data, take(data, slice(0, 100)), cloning, how, shuffles)
    for seen in supervised.run(learner):
        print(f"imitation: {seen['val/nll_avg']:.3f} nats per token")


def prompts(cases: Sequence[service.ServiceCase], code: Vocabulary) -> list[Prompt]:
    """What customers ask, with the facts that a truthful answer states."""
    return [Prompt(tuple(code.encode(c.prompt)), c.prompt, {"facts": c.facts}) for c in cases]


def felt(said: Completions) -> Tensor:
    """The person: how polite, short and true every answer is. Nothing that learns sees this."""
    facts = said.answers.columns["facts"]
    return torch.tensor([rubric.score(c, f) for c, f in zip(said.answers.completions, facts, strict=True)])


def tokens_of(said: Completions, code: Vocabulary) -> list[tuple[int, ...]]:
    """Prompts with their answers, as the reward model reads them."""
    answers = said.answers
    return [(*code.encode(p), *t) for p, t in zip(answers.prompts, answers.tokens, strict=True)]


def compared(first: Completions, second: Completions, code: Vocabulary) -> list[Judgement]:
    """Ask which of two answers is better: 1 the first, 0 the second, .5 neither."""
    said = ((felt(first) - felt(second)).sign() / 2 + 0.5).tolist()
    pairs = zip(tokens_of(first, code), tokens_of(second, code), strict=True)
    return [Judgement("comparison", pair, (one,)) for pair, one in zip(pairs, said, strict=True)]


def main(lessons: int, labels: int, updates: int, seed: int) -> float:
    """Run the loop; returns how often the answers in the end are better than those before PPO (a tie is half)."""
    torch.set_num_threads(1)
    generator, draws = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    clerks, unseen = service.cases(lessons, draws), service.cases(100, draws, held_out=True)
    plain = service.cases(lessons, draws, style=service.PLAIN)
    code = Vocabulary(train_bpe([c.prompt + c.completion for c in clerks], SMALL.vocabulary), "small")
    policy = LanguagePolicy(loading.make(SMALL, code, generator), PolicyConfig(), generator)
    imitate(policy, code, [*plain, *clerks], 6e-3)  # 1. learn to write, and to answer as clerks do

    how = GenerationConfig(code, code.stops(), Sampling(max_new_tokens=96))
    asked, test = prompts(clerks, code), prompts(unseen, code)
    with tempfile.TemporaryDirectory() as folder:
        loading.save(Path(folder), policy.lm, code)
        model = reward_model.begin(folder, generator)
        reference = LanguagePolicy(loading.load(folder)[0], PolicyConfig(critic="none"), generator)
    first, second = (generate(policy, asked[:labels], how, generator) for _ in range(2))
    said = compared(first, second, code)  # 2. ask people about them
    train, kept = said[labels // 10 :], said[: labels // 10]
    trainer = RewardTrainer(CompletionReward(model, lambda text: text), LearnedConfig(fit=FIT), generator)
    trainer.fit(train, labels // 4)  # 3. learn what they want: the likelihood of Bradley and Terry
    right = forecast(trainer, kept)["reward/held_out_accuracy"]
    print(f"the reward model foresees {right:.0%} of answers it has not learned from")

    @torch.no_grad()
    def pay(said: Completions) -> Rewards:
        return Rewards(model(texts(tokens_of(said, code))))

    world = LanguageRollouts(PromptQueue(asked, generator), how, 64, generator)
    learner = OnPolicy(Updater(policy, PPO, DESCENT, generator), world, Fixed(pay), updates, reference)
    while not learner.done:  # 4. do more of it, at a price for leaving the reference
        seen = learner.step()
        if learner.updates % 5 == 0:
            print(f"update {learner.updates:3}  reward {seen['objective/scores']:5.2f}  "
                  f"KL {seen['objective/kl_per_answer']:5.1f} nats per answer")  # fmt: skip

    before, after = (
        felt(generate(one, test, how, torch.Generator().manual_seed(1))) for one in (reference, policy)
    )
    wins = ((after > before).float() + 0.5 * (after == before).float()).mean().item()
    print(
        f"better than before on {wins:.0%} of new prompts; rubric {before.mean():.2f} -> {after.mean():.2f}"
    )
    return wins


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--lessons", type=int, default=3200, help="dialogues of each kind to imitate")
    parser.add_argument("--labels", type=int, default=400, help="comparisons the person answers")
    parser.add_argument("--updates", type=int, default=40, help="updates of PPO")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything")
    given = parser.parse_args()
    main(given.lessons, given.labels, given.updates, given.seed)
