"""A language run: everything that changes in one saved tree."""

from typing import Any

import torch

from plaudit.environments.language.rollouts import LanguageRollouts, talk
from plaudit.errors import Diverged, PlauditError
from plaudit.models.language import adapters, loading, reward_model
from plaudit.runs import provenance as origins
from plaudit.stages.adapters import samples
from plaudit.pipeline.language.config import RunConfig
from plaudit.stages.adapters.text_evaluation import Evaluation, evaluate, measured, paid, wins
from plaudit.pipeline.language.parts import generator, parts, preferences
from plaudit.pipeline.language.pricing import priced
from plaudit.stages.adapters.early_stopping import Watcher
from plaudit.rewards.learned.loop import foretold
from plaudit.runs import algorithms
from plaudit.runs.files import write_whole
from plaudit.runs.folder import RunFolder
from plaudit.seeds import seed_of
from plaudit.trainers import on_policy

MEMORY = "policy.rows, trainer.piece, language.batch or language.answer_tokens; or set policy.gradient_checkpointing"
"""What to lower where memory runs out."""
UNJUDGED = "watch.stop: nobody answered the held-out judgements, so the policy of the last update was kept"


class LanguageRun:
    """One tick: ask and learn from people where they are part of the run, answer prompts, judge, improve."""

    def __init__(self, config: RunConfig, folder: RunFolder):
        self.config = config
        self.notes: set[str] = set()
        """What somebody should know about this run."""
        with loading.memory_explained(MEMORY):
            self.parts = made = parts(config)
        origins.keep(folder, made.made_of)
        self.resume = "exact" if made.policy.device.type == "cpu" else "statistical"  # sums on a GPU vary
        if made.prompts.left_out:
            self.notes.add(f"{made.prompts.left_out} prompts were left out: they do not fit the context")
        self.language = LanguageRollouts(
            made.queue(config.seed, "prompts"),
            made.speech,
            config.language.batch,
            generator(config.seed, "answers"),
        )
        self.learner = on_policy.Learner(algorithms.find(config.algorithm), config.settings, config.trainer)
        self.state = on_policy.start(made.policy, config.trainer, generator(config.seed, "minibatches"))
        self.judges = made.judges(config)
        human = preferences(config, made, folder)
        self.preferences = None if human is None else human[0]
        self.watcher = None
        if human is not None and config.watch.every:
            self.watcher = Watcher(
                config.watch, human[0].desk, human[1], (folder.path / "watched", config.updates)
            )
        self.stopped = False
        self.evaluations: dict[int, Evaluation] = {}
        """By update, that of the start (0) and the latest."""

    @property
    def done(self) -> bool:
        """The budget is spent, or held-out judgements say that the policy gets worse."""
        return self.stopped or self.state.updates >= self.config.updates

    def begin(self, folder: RunFolder) -> None:
        """Keep the policy as it starts, where the judgements may choose it; the model is a folder of its own."""
        if self.watcher is not None:
            self.watcher.begin(self.state.policy)

    def tick(self) -> dict[str, Any]:
        """One update; returns its metrics."""
        state, config = self.state, self.config
        said: dict[str, Any] = {}
        with loading.memory_explained(MEMORY):
            if self.preferences is not None and config.feedback.labels:
                # the last update is the last chance to ask what is left
                last = state.updates + 1 >= config.updates
                progress = 1.0 if last else state.updates / config.updates
                said = self.preferences.tick(state.policy, state.updates, progress)
            if state.updates == 0:
                said |= {
                    f"start/{name}": value
                    for name, value in self._evaluated(self.parts.start, 0).metrics().items()
                }
            remaining = 1 - state.updates / config.updates
            price = _price(state, config, remaining)
            rollout = self.language.collect(state.policy, self.parts.reference, self.judges.proxy)
            try:
                on_policy.update(state, rollout, self.learner, remaining)
            except ValueError as error:
                raise PlauditError(f"{config.algorithm}: {error}") from error
            if not torch.isfinite(state.optimiser.flat).all():  # before it could get into a checkpoint
                raise Diverged("the weights are")
            return state.metrics | said | priced(state.metrics, price) | self._watched()

    def finish(self, folder: RunFolder) -> dict[str, Any]:
        """Save what was learned and say how good it is on held-out prompts."""
        policy, made = self.state.policy, self.parts
        kept, judged = self._kept()
        if self.preferences is not None and not self.stopped:
            self.notes |= self.preferences.notes
        seed = seed_of(self.config.seed, "samples")
        with loading.memory_explained(MEMORY):
            before, after = self._evaluated(made.start, 0), self._evaluated(policy, kept)
            asked, models = made.prompts.held_out, (made.start, policy)
            rows = samples.side_by_side(models, asked, made.speech, self.judges, made.model, seed)
        write_whole(folder.path / samples.NAME, samples.text(rows))
        lm = adapters.merged(policy.lm, policy.adapted)
        loading.keep_shaping(lm, self.config.policy.shaping, made.speech.stops)
        loading.save(folder.path / "policy", lm, made.speech.vocabulary)
        if made.model is not None and self.config.feedback.labels:
            reward_model.save(folder.path / "reward", made.model)
        by = paid(self.config.reward.weights) if made.hidden is None else "hidden score"
        scores = {name: found.scores() for name, found in (("before", before), ("after", after))}
        result = (
            after.metrics() | wins(after.worth, before.worth).named() | {"win_by": by, "kept_update": kept}
        )
        return result | judged | {"before": before.metrics(), "scores": scores}

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        state = self.state
        return {
            "policy": state.policy.trainable(),
            "optimiser": state.optimiser.state_dict(),
            "generator": state.generator.get_state(),
            "updates": state.updates,
            "decisions": state.decisions,
            "kl_price": state.kl_price,
            "notes": sorted(self.notes),
            "language": self.language.state_dict(),
            "preferences": None if self.preferences is None else self.preferences.state_dict(),
            "watcher": None if self.watcher is None else self.watcher.state_dict(),
            "stopped": self.stopped,
        }

    def load_state_dict(self, tree: dict[str, Any]) -> None:
        """Continue from a saved tree."""
        state = self.state
        state.policy.restore(tree["policy"])
        state.optimiser.load_state_dict(tree["optimiser"])
        state.generator.set_state(tree["generator"])
        state.updates, state.decisions, state.kl_price = tree["updates"], tree["decisions"], tree["kl_price"]
        self.notes, self.stopped = set(tree["notes"]), tree["stopped"]
        self.language.load_state_dict(tree["language"])
        if self.preferences is not None:
            self.preferences.load_state_dict(tree["preferences"])
        if self.watcher is not None:
            self.watcher.load_state_dict(tree["watcher"])

    def close(self) -> None:
        """Release the store."""
        if self.preferences is not None:
            self.preferences.desk.store.close()

    def _evaluated(self, policy: Any, update: int) -> Evaluation:
        """The policy of an update, 0: as it started. The same prompts and the same random numbers every time, so that
        differences are the policies'; what the start and the latest policy have answered is not asked again."""
        made, seed, known = self.parts, seed_of(self.config.seed, "evaluation"), self.evaluations.get(update)
        if known is not None:
            found = known.judged_again(self.judges.proxy)
        else:
            found = evaluate(policy, made.prompts.held_out, made.speech, self.judges, seed)
            self.evaluations = {at: one for at, one in self.evaluations.items() if at == 0}
        self.evaluations[update] = found
        return found

    def _kept(self) -> tuple[int, dict[str, Any]]:
        """The update whose policy is kept, and what people said of all of them, late answers too."""
        kept, watcher = self.state.updates, self.watcher
        if watcher is None:
            return kept, {}
        judged = watcher.judged()
        if self.config.watch.stop and watcher.checks:
            kept = watcher.restore_best(self.state.policy)
            if not judged:
                self.notes.add(UNJUDGED)
        return kept, watcher.state_dict()

    def _watched(self) -> dict[str, Any]:
        """Evaluation on held-out prompts and held-out judgements, where they are due."""
        updates, config, found = self.state.updates, self.config, {}
        if config.evaluate_every and updates % config.evaluate_every == 0:
            metrics = self._evaluated(self.state.policy, updates).metrics()
            found = {f"eval/{name}": value for name, value in metrics.items()}
        if self.watcher is None or not self.watcher.due(updates):
            return found
        made, draws = self.parts, generator(config.seed, f"watch {updates}")
        places = torch.randint(len(made.prompts.held_out), (config.watch.judgements,), generator=draws)
        asked = [made.prompts.held_out[i] for i in places.tolist()]
        fresh, before = (talk(model, asked, made.speech, draws) for model in (self.state.policy, made.start))
        distance = measured(self.state.policy, made.start, fresh.record)
        said = self.watcher.check(updates, distance, (fresh, before), self.state.policy)
        self.stopped = self.watcher.fallen()
        check = self.watcher.checks[-1]
        found |= {
            "watch/win_rate": check.rate,
            "watch/judgements": check.judgements,
            "watch/kl_per_answer": distance,
        }
        pairs = (
            None if made.model is None or self.preferences is None else self.preferences.learner.pairs(said)
        )
        if pairs is not None and self.preferences is not None:
            found |= {name.replace("reward/fresh", "watch/fresh"): value
                      for name, value in foretold(self.preferences.learner, pairs).items()}  # fmt: skip
        return found


def _price(state: on_policy.State, config: RunConfig, remaining: float) -> float:
    """What a nat of KL costs in the update to come."""
    if state.kl_price is not None:
        return state.kl_price
    price = getattr(config.settings, "kl_in_reward", 0.0)
    return price * remaining if "kl_in_reward" in config.trainer.anneal else price
