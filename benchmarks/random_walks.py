"""The random-walks benchmark: PPO turns a model of random walks into one of shortest walks.

    python -m benchmarks.random_walks [--seeds 3] [--graph 1002 ...] [--jobs 2]

The small end-to-end test of PPO on text that trlX introduced (CarperAI/trlx, examples/randomwalks, after Chen et al.
2021, arXiv:2106.01345). A directed graph has 21 nodes, written a to u; each ordered pair is an edge with
probability 0.1 (drawn again until every node has a way out), and then the goal, a, loses its ways out. A walk starts
at another node, follows random edges and ends at the goal or at its tenth node. 1,000 such walks are all that the
model sees before PPO: a small GPT-2 is trained on them from scratch by plain language modelling, one token per node
(trlX fetches a trained one). PPO then gets single start nodes as prompts and one number for each answer, and pays
for KL to the trained model.

The number is `optimality`, trlX's metric. A walk's length is its number of nodes up to the goal, start and goal
included; it is 10, the worst, where a step before the goal is no edge of the graph, or where the goal is not among
the first 10 nodes. With s the length of a shortest walk from the same start, optimality is (10 - length) / (10 - s):
1 for a shortest walk, 0 for a useless one. Reported is its mean over all start nodes from which the goal can be
reached in fewer than 10 nodes: of 50 sampled answers to each (temperature 1, as trained), and of the likeliest one.

Graph 1002 and its walks are those of trlX's default seed, to the letter; others are drawn in the same way. A run's
seed decides weights, order and answers. The settings were chosen on graphs 1002, 1 and 4 with seeds 100 to 105;
nothing was chosen on graph 2, nor on the seeds measured, 10 and up (0 to 2 were spent on settings given up since).
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from benchmarks.machine import RESULTS, described
from plaudit.algorithms.imitation import bc
from plaudit.algorithms.on_policy import ppo
from plaudit.batches import Demonstrations, Rewards
from plaudit.environments.language.prompts import Prompt, PromptQueue
from plaudit.environments.language.rollouts import Completions, GenerationConfig, LanguageRollouts, generate
from plaudit.maths.advantage import GAE
from plaudit.maths.kl import Kl
from plaudit.models.language import loading, tokens
from plaudit.models.language.config import NewModel, PolicyConfig
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import LanguagePolicy
from plaudit.models.language.tokens import Tokens
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.rewards.weighted import Fixed
from plaudit.runs.statistics import mean_interval
from plaudit.trainers import on_policy, supervised
from plaudit.trainers.on_policy import Algorithm, OnPolicy, Updater

NODES, GOAL, LONGEST, WALKS, EDGE = 21, 0, 10, 1000, 0.1
EACH, REQUIRED, GRAPHS, FIRST_SEED = 50, 0.90, (1002, 1, 2), 10


@dataclass(frozen=True)
class Plan:
    """The settings of a run."""

    model: NewModel = NewModel(layers=2, width=64, heads=4, context=LONGEST)
    cloning: supervised.Config = supervised.Config(
        learning_rate=3e-3,
        weight_decay=0.01,
        epochs=20,
        minibatch_size=50,
        schedule="linear",
        max_grad_norm=1.0,
    )
    settings: ppo.Config = ppo.Config(discount=1.0, advantage=GAE(0.95), value_coef=0.5, kl=Kl(0.02))
    trainer: on_policy.Config = on_policy.Config(learning_rate=6e-4, epochs=2, minibatch_size=64)
    batch: int = 128
    """Answers to learn from at a time."""
    updates: int = 150


@dataclass(frozen=True)
class Graph:
    """Who leads to whom."""

    edges: np.ndarray
    """[NODES, NODES], true where the row leads to the column."""

    @cached_property
    def shortest(self) -> np.ndarray:
        """[NODES], nodes of a shortest walk to the goal, both ends included; LONGEST where there is none shorter."""
        lengths = np.where(np.arange(NODES) == GOAL, 1, LONGEST)
        for length in range(2, LONGEST):
            leads = self.edges[:, lengths == length - 1].any(axis=1)
            lengths[leads & (lengths > length)] = length
        return lengths

    @property
    def starts(self) -> list[int]:
        """The nodes from which optimality has a meaning."""
        return [node for node in range(NODES) if 1 < self.shortest[node] < LONGEST]

    def optimality(self, walk: list[int]) -> float:
        """Of a walk of nodes, the start included; see above."""
        length = LONGEST
        if GOAL in walk[:LONGEST]:
            arrived = walk[: walk.index(GOAL) + 1]
            if all(self.edges[step] for step in zip(arrived, arrived[1:], strict=False)):
                length = len(arrived)
        return float((LONGEST - length) / (LONGEST - self.shortest[walk[0]]))


def drawn(seed: int) -> tuple[Graph, list[list[int]]]:
    """The graph of a seed and its random walks: the numbers are asked for in the order in which trlX does."""
    random = np.random.RandomState(seed)
    while True:
        edges = random.rand(NODES, NODES) > 1 - EDGE
        np.fill_diagonal(edges, False)
        if edges.any(axis=1).all():
            break
    edges[GOAL] = False
    walks = []
    while len(walks) < WALKS:
        walk = [random.randint(NODES)]
        while walk[-1] != GOAL and len(walk) < LONGEST:
            walk.append(int(random.choice(np.flatnonzero(edges[walk[-1]]))))
        walks += [walk] * (walk[0] != GOAL)  # one that would start at the goal is drawn again
    return Graph(edges), walks


def wandering(graph: Graph) -> float:
    """Mean optimality of a walker that follows each edge with equal probability, computed exactly."""
    onward = graph.edges / np.maximum(graph.edges.sum(axis=1, keepdims=True), 1)
    here, value = np.eye(NODES)[graph.starts], np.zeros(len(graph.starts))
    for length in range(2, LONGEST):
        here = here @ onward
        value += here[:, GOAL] * (LONGEST - length)
    return float(np.mean(value / (LONGEST - graph.shortest[graph.starts])))


def letters() -> Vocabulary:
    """One token per node, whose id is its number; the goal is the token that ends an answer."""
    names = [chr(ord("a") + node) for node in range(NODES)]
    made = Tokenizer(models.WordLevel({name: node for node, name in enumerate(names)}, unk_token=names[GOAL]))
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")  # type: ignore[assignment]
    made.decoder = decoders.Fuse()  # type: ignore[assignment]
    return Vocabulary(PreTrainedTokenizerFast(tokenizer_object=made, eos_token=names[GOAL]), "nodes")


class Run:
    """One seed: a model of the walks, then PPO."""

    def __init__(self, graph: Graph, walks: list[list[int]], seed: int, plan: Plan):
        self.graph, self.walks, self.plan = graph, walks, plan
        self.vocabulary, self.generator = letters(), torch.Generator().manual_seed(seed)
        self.generation = GenerationConfig(
            self.vocabulary, self.vocabulary.stops(), Sampling(LONGEST - 1, rows=256)
        )
        self.prompts = [Prompt((node,), self.vocabulary.decode([node])) for node in graph.starts]

    def pretrained(self) -> LanguagePolicy:
        """Trained from scratch to continue the random walks."""
        record = tokens.whole(self.walks)
        data = Demonstrations(record.mask, record)
        lm = loading.make(self.plan.model, self.vocabulary, self.generator)
        policy = LanguagePolicy(lm, PolicyConfig(critic="none", rows=256), self.generator)
        cloning = Algorithm(bc, bc.Config(), "bc")
        learner = supervised.Supervised(policy, data, data, cloning, self.plan.cloning, self.generator)
        while not learner.done:
            learner.step()
        return policy

    def improved(self, reference: LanguagePolicy) -> LanguagePolicy:
        """After PPO on optimality."""
        plan = self.plan
        policy = LanguagePolicy(deepcopy(reference.lm), PolicyConfig(rows=256), self.generator)
        queue = PromptQueue(self.prompts, self.generator)
        environment = LanguageRollouts(queue, self.generation, plan.batch, self.generator)
        updater = Updater(policy, Algorithm(ppo, plan.settings, "ppo"), plan.trainer, self.generator)
        learner = OnPolicy(updater, environment, Fixed(self.reward), plan.updates, reference)
        while not learner.done:
            learner.step()
        return policy

    def reward(self, said: Completions) -> Rewards:
        """The optimality of start and answer, token by token a node."""
        answers = said.answers
        starts = [self.vocabulary.encode(prompt)[0] for prompt in answers.prompts]
        walks = [[start, *onward] for start, onward in zip(starts, answers.tokens, strict=True)]
        return Rewards(torch.tensor([self.graph.optimality(walk) for walk in walks]))

    def answered(self, policy: LanguagePolicy, greedy: bool = False) -> tuple[float, Tokens]:
        """Mean optimality of EACH answers to every start node, or of the likeliest one; and these answers."""
        how = replace(self.generation, sampling=replace(self.generation.sampling, greedy=greedy))
        said = generate(policy, self.prompts * (1 if greedy else EACH), how, self.generator)
        return float(self.reward(said).scores.mean()), said.record


def measured(graph: int, seed: int) -> dict[str, float]:
    """One run in this process, with one thread."""
    torch.set_num_threads(1)
    began = time.process_time()
    run = Run(*drawn(graph), seed, Plan())
    reference = run.pretrained()
    trained = time.process_time()
    policy = run.improved(reference)
    done = time.process_time()
    optimality, record = run.answered(policy)
    with torch.no_grad():
        kl = (policy.scores(record).logp - reference.scores(record).logp).sum(dim=1).mean()
    return {
        "graph": graph,
        "seed": seed,
        "before": run.answered(reference)[0],
        "before_likeliest": run.answered(reference, greedy=True)[0],
        "after": optimality,
        "after_likeliest": run.answered(policy, greedy=True)[0],
        "kl": float(kl),
        "pretraining": trained - began,
        "ppo": done - trained,
    }


def measure(graphs: Sequence[int], seeds: Sequence[int], jobs: int) -> list[dict[str, float]]:
    """All runs, `jobs` at a time, each in a fresh process."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before the processes start: torch reads it when it is imported
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, fresh, max_tasks_per_child=1) as pool:
        work = [pool.submit(measured, graph, seed) for graph in graphs for seed in seeds]
        for future in as_completed(work):
            row = future.result()
            print(
                f"graph {row['graph']} seed {row['seed']}: {row['before']:.3f} -> {row['after']:.3f}",
                flush=True,
            )
    return [future.result() for future in work]


COLUMNS = {  # name: head, digits after the point
    "before": ("before, sampled", 3),
    "before_likeliest": ("before, likeliest", 3),
    "after": ("after PPO, sampled", 3),
    "after_likeliest": ("after PPO, likeliest", 3),
    "kl": ("KL, nats per answer", 2),
    "pretraining": ("pretraining, CPU s", 1),
    "ppo": ("PPO, CPU s", 1),
}


def table(rows: Sequence[dict[str, float]]) -> str:
    """All runs, and mean and interval of each graph, as Markdown."""
    plan, worst = Plan(), min(row["after"] for row in rows)
    heads = ["graph", "random walker", "seed", *(head for head, _ in COLUMNS.values())]
    lines = [
        "# Random walks",
        "",
        f"Optimality of walks to a goal (trlX's metric, 0 to 1; benchmarks/random_walks.py says exactly what it is), "
        f"mean over all start nodes, {EACH} answers to each. A GPT-2 of {plan.model.layers} layers x "
        f"{plan.model.width}, trained from scratch on {WALKS:,} random walks; then PPO on "
        f"{plan.batch * plan.updates:,} answers, at a price of {plan.settings.kl.coef:g} per nat of KL to the "
        "model before. One thread. Graph 1002 is trlX's. The settings were chosen on graphs 1002, 1 and 4 with seeds "
        "100 to 105, and nothing on graph 2.",
        "",
        _line(heads),
        _line(["---"] * len(heads)),
    ]
    for graph in dict.fromkeys(row["graph"] for row in rows):
        mine = [row for row in rows if row["graph"] == graph]
        front = [str(graph), f"{wandering(drawn(int(graph))[0]):.3f}"]
        for row in mine:
            cells = [f"{row[name]:.{digits}f}" for name, (_, digits) in COLUMNS.items()]
            lines.append(_line([*front, str(row["seed"]), *cells]))
        cells = [_interval([row[name] for row in mine], digits) for name, (_, digits) in COLUMNS.items()]
        lines.append(_line([*front, "mean", *cells]))
    lines += [
        "",
        "Mean over seeds with its 95 % t-interval. The random walker takes each edge with equal probability (exact).",
        f"Required: every run >= {REQUIRED:.2f}, sampled: {'yes' if worst >= REQUIRED else 'NO'} ({worst:.3f}).",
        "",
        f"Made by `python -m benchmarks.random_walks`. {described('plaudit', 'torch', 'transformers', 'numpy')}.",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _interval(values: Sequence[float], digits: int) -> str:
    mean, low, high = (f"{number:.{digits}f}" for number in mean_interval(values))
    return f"{mean} ({low} to {high})" if len(values) > 1 else f"{mean} (one seed)"


def main() -> int:
    """Measure, write the table, and fail where the requirement is missed."""
    parser = argparse.ArgumentParser(description="Measure and rewrite results/random_walks.md.")
    parser.add_argument("--seeds", type=int, default=3, help="seeds on each graph")
    parser.add_argument("--graph", type=int, nargs="+", default=list(GRAPHS), help="seeds of graphs")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    given = parser.parse_args()
    text = table(measure(given.graph, range(FIRST_SEED, FIRST_SEED + given.seeds), given.jobs))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "random_walks.md").write_text(text, encoding="utf-8")
    print(text)
    return 1 if ": NO (" in text else 0


if __name__ == "__main__":
    sys.exit(main())
