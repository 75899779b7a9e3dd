"""Language: a run of a language model, put together from its config."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from plaudit.environments.language.config import Language
from plaudit.environments.language.rollouts import LanguageRollouts, generate
from plaudit.models.language import adapters, loading, reward_model
from plaudit.models.language.policy import LanguagePolicy, WithoutAdapters
from plaudit.models.language.reward_model import TextReward
from plaudit.readers.judgements import Judged
from plaudit.rewards.learned.calibration import forecast
from plaudit.rewards.learned.terms import of_responses
from plaudit.rewards.text import (
    CompletionReward,
)
from plaudit.runs import algorithms, provenance
from plaudit.runs.config import RunConfig
from plaudit.runs.folder import RunFolder
from plaudit.runs.streams import generator
from plaudit.seeds import seed_of
from plaudit.stages.adapters import language_data, language_evaluate, language_reward, samples
from plaudit.stages.adapters.early_stopping import EarlyStopping
from plaudit.stages.adapters.language_evaluate import Evaluation, Scorers, evaluate, measured, paid, wins
from plaudit.stages.adapters.language_models import models
from plaudit.stages.adapters.language_reward import RewardSources
from plaudit.stages.evaluate import evaluation_seed
from plaudit.stages.reward import RewardFromFiles
from plaudit.storage.artifacts import write_whole
from plaudit.trainers.evolution import Evolution, Search
from plaudit.trainers.on_policy import Algorithm, OnPolicy, Updater
from plaudit.trainers.supervised import Supervised, with_reference

MEMORY = (
    "policy.rows, trainer.microbatch_size, environment.batch_size or environment.max_new_tokens; or set "
    "policy.gradient_checkpointing"
)
"""What to lower where memory runs out."""
UNJUDGED = (
    "win_rate_check.stop: nobody answered the held-out judgements, so the policy of the last update was kept"
)


class LanguageTask:
    """A `Task`: prompts, a language model, its reward and whoever teaches it."""

    def __init__(self, config: RunConfig, folder: RunFolder):
        self.config, self.folder = config, folder
        self.notes: set[str] = set()
        """What somebody should know about this run."""
        self.unit = "tokens"
        self.models = made = models(config)
        provenance.keep(folder, made.made_of)
        self.resume = "exact" if made.policy.device.type == "cpu" else "statistical"  # sums on a GPU vary
        if made.prompts.left_out:
            self.notes.add(f"{made.prompts.left_out} prompts were left out: they do not fit the context")
        module = algorithms.find(config.algorithm)
        self.kind = algorithms.kind_of(module)
        self.algorithm = Algorithm(module, config.settings, config.algorithm)
        sources = RewardSources(config, folder, made)
        self.rewards = sources.mix()
        self.notes |= sources.notes
        self.session, self.feedback, self.store = sources.session, sources.feedback, sources.store
        self.scorers = Scorers(self.rewards, made.gold, made.start)
        self.learner = self._learner()
        self.early_stopping: EarlyStopping | None = None
        if self.session is not None and self.store is not None and config.win_rate_check.every:
            place, last = folder.path / "watched", config.budget
            self.early_stopping = EarlyStopping(config.win_rate_check, self.session, self.store, place, last)
        self._stopped = False
        self.evaluations: dict[int, Evaluation] = {}
        """By update, that of the start (0) and the latest."""

    @property
    def stopped(self) -> bool:
        """Held-out judgements say that the policy gets worse."""
        return self._stopped

    def begin(self, folder: RunFolder) -> None:
        """Keep the policy as it starts, where the judgements may choose it; the model is a folder of its own."""
        if self.early_stopping is not None:
            self.early_stopping.begin(self.models.policy)

    def after_step(self) -> dict[str, Any]:
        """The start beside the first update; evaluations and held-out judgements, where they are due."""
        found: dict[str, Any] = {}
        updater = getattr(self.learner, "updater", None)
        if updater is not None:
            found["tokens"] = updater.decisions
        if self.learner.updates == 1:
            start = self._evaluated(self.models.start, 0).metrics()
            found |= {f"start/{name}": value for name, value in start.items()}
        return found | self._watched()

    def finish(self, folder: RunFolder) -> dict[str, Any]:
        """Save what was learned and say how good it is on held-out prompts."""
        made, policy = self.models, self.models.policy
        kept, judged = self._kept()
        if self.feedback is not None and not self._stopped:
            self.notes |= self.feedback.notes
        seed = seed_of(self.config.seed, "samples")
        before, after = self._evaluated(made.start, 0), self._evaluated(policy, kept)
        by = samples.Shown(made.generation, self.scorers, made.reward)
        rows = samples.side_by_side(made.start, policy, made.prompts.held_out, by, seed)
        write_whole(folder.path / samples.NAME, samples.text(rows))
        lm = adapters.merged(policy.lm, policy.adapted)
        loading.keep_shaping(lm, self.config.policy.shaping, made.generation.stops)
        loading.save(folder.path / "policy", lm, made.generation.vocabulary)
        if made.reward is not None and self.feedback is not None:
            reward_model.save(folder.path / "reward", made.reward)
        win_by = paid(self.config.reward.weights) if made.gold is None else "gold reward"
        scores = {name: found.scores() for name, found in (("before", before), ("after", after))}
        won = wins(after.worth, before.worth).named()
        result = after.metrics() | won | {"win_by": win_by, "kept_update": kept}
        if self.feedback is not None and self.feedback.trainer.people.names:
            result["people"] = self.feedback.trainer.people.report()
        return result | judged | {"before": before.metrics(), "scores": scores}

    def state_dict(self) -> dict[str, Any]:
        """What changes besides the learner."""
        checks = None if self.early_stopping is None else self.early_stopping.state_dict()
        return {"notes": sorted(self.notes), "early_stopping": checks, "stopped": self._stopped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.notes, self._stopped = set(state["notes"]), state["stopped"]
        if self.early_stopping is not None:
            self.early_stopping.load_state_dict(state["early_stopping"])

    def close(self) -> None:
        """Release the store."""
        if self.session is not None:
            self.session.store.close()

    def _learner(self) -> Any:
        config, made = self.config, self.models
        shuffles = generator(config.seed, "minibatches")
        if self.kind == "preference":
            reference = made.reference or made.start
            train, held_out = language_data.pairs(config, made.generation.vocabulary, made.policy)
            rows = config.policy.rows
            sides = [with_reference(part, reference, rows) for part in (train, held_out)]
            return Supervised(made.policy, sides[0], sides[1], self.algorithm, config.trainer, shuffles)
        assert isinstance(config.environment, Language)
        batch, members = config.environment.batch_size, 1
        evolved = self.kind == "evolution"
        if evolved:
            members = len(self.algorithm.module.ask(torch.zeros(1), config.settings, torch.Generator()))
            batch = members * config.trainer.episodes
        generation = replace(made.generation, num_generations=1) if evolved else made.generation
        rollouts = LanguageRollouts(
            made.queue(config.seed, "prompts"), generation, batch, generator(config.seed, "answers"), members
        )
        if evolved:
            search = Search(made.policy, self.algorithm, config.trainer, shuffles)
            return Evolution(search, rollouts, self.rewards, config.budget)
        updater = Updater(made.policy, self.algorithm, config.trainer, shuffles)
        return OnPolicy(updater, rollouts, self.rewards, config.budget, made.reference)

    def _evaluated(self, policy: LanguagePolicy | WithoutAdapters, update: int) -> Evaluation:
        """The policy of an update, 0: as it started. The same prompts and the same random numbers every time, so that
        differences are the policies'; what the start and the latest policy have said is not asked again."""
        made, seed, known = self.models, evaluation_seed(self.config.seed), self.evaluations.get(update)
        if known is not None:
            found = known.scored_again(self.rewards)
        else:
            found = evaluate(policy, made.prompts.held_out, made.generation, self.scorers, seed)
            self.evaluations = {at: one for at, one in self.evaluations.items() if at == 0}
        self.evaluations[update] = found
        return found

    def _kept(self) -> tuple[int, dict[str, Any]]:
        """The update whose policy is kept, and what people said of all of them, late answers too."""
        kept, early_stopping = self.learner.updates, self.early_stopping
        if early_stopping is None:
            return kept, {}
        judged = early_stopping.judged()
        if self.config.win_rate_check.stop and early_stopping.checks:
            kept = early_stopping.restore_best(self.models.policy)
            if not judged:
                self.notes.add(UNJUDGED)
        return kept, early_stopping.state_dict()

    def _watched(self) -> dict[str, Any]:
        """Evaluation on held-out prompts and held-out judgements, where they are due."""
        updates, config, found = self.learner.updates, self.config, {}
        if config.evaluate_every and updates % config.evaluate_every == 0:
            metrics = self._evaluated(self.models.policy, updates).metrics()
            found = {f"eval/{name}": value for name, value in metrics.items()}
        if self.early_stopping is None or not self.early_stopping.due(updates):
            return found
        return found | self._checked(self.early_stopping, updates)

    def _checked(self, early_stopping: EarlyStopping, updates: int) -> dict[str, Any]:
        """What people say of the policy beside the start."""
        made, draws = self.models, generator(self.config.seed, f"watch {updates}")
        count = self.config.win_rate_check.judgements
        places = torch.randint(len(made.prompts.held_out), (count,), generator=draws)
        asked = [made.prompts.held_out[i] for i in places.tolist()]
        fresh, before = (generate(one, asked, made.generation, draws) for one in (made.policy, made.start))
        distance = measured(made.policy, made.start, fresh.record)
        said = early_stopping.check(updates, distance, (fresh, before), made.policy)
        self._stopped = early_stopping.fallen()
        check = early_stopping.checks[-1]
        found: dict[str, Any] = {
            "watch/win_rate": check.rate,
            "watch/judgements": check.judgements,
            "watch/kl_per_answer": distance,
        }
        judgements = of_responses(said)
        if judgements and self.feedback is not None:
            told = forecast(self.feedback.trainer, judgements)
            found |= {name.replace("reward/", "watch/"): value for name, value in told.items()}
        return found


def task(config: RunConfig, folder: RunFolder) -> LanguageTask:
    """The task of a config."""
    return LanguageTask(config, folder)


def reward_medium(
    rows: Sequence[Judged], config: RewardFromFiles, known: TextReward | None
) -> CompletionReward:
    """A reward to begin from, for answers in files."""
    reward = language_reward.medium(rows, config, known)
    language_reward.checked(rows, reward)
    return reward


def save_reward(out: Path, reward: CompletionReward, about: dict[str, Any]) -> None:
    """Write a reward learned from files."""
    reward_model.save(out, reward.model)


normalise, rules, refuse_model = (
    language_reward.normalise,
    language_reward.rules,
    language_reward.refuse_model,
)
notes = language_reward.notes


def run_memory_explained() -> Any:
    """What to lower where memory runs out in a run."""
    return loading.memory_explained(MEMORY)


def memory_explained() -> Any:
    """What to lower where memory runs out."""
    return loading.memory_explained(language_reward.MEMORY)


def pretraining_memory_explained() -> Any:
    """What to lower where memory runs out."""
    return loading.memory_explained(language_data.MEMORY)


training_data, evaluated = language_data.TextData, language_evaluate.evaluated
