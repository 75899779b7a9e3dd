"""PPO on a language model step by step, in the shape of TRL: `generate`, then `train_step` with rewards of your own."""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

import torch
from torch import Tensor

from plaudit.algorithms.on_policy import ppo
from plaudit.api import generated
from plaudit.api.arguments import divergence_named, plain, positive, refuse_unknown
from plaudit.environments.language.config import Score
from plaudit.environments.language.rollouts import episodes_of
from plaudit.errors import Diverged, PlauditError
from plaudit.models.language.generation import Sampling
from plaudit.models.language.interfaces import ModelOutput, PreTrainedModel, PreTrainedTokenizerBase
from plaudit.models.language.loading import keep_shaping, memory_explained, quiet
from plaudit.models.language.policy import LanguagePolicy, as_it_was
from plaudit.runs import aliases
from plaudit.runs import config as configs
from plaudit.runs.streams import generator
from plaudit.trainers.on_policy import Algorithm, Updater


class Names(TypedDict, total=False):
    """What a PPOConfig takes: names of TRL, trlX and Stable-Baselines3; those in one line mean the same."""

    learning_rate: float
    batch_size: int
    mini_batch_size: int
    gamma: float
    lam: float
    gae_lambda: float
    epsilon: float
    cliprange: float
    clip_range: float
    cliprange_value: float | None
    clip_range_vf: float | None
    vf_coef: float
    ent_coef: float
    kl_coef: float
    init_kl_coef: float
    num_ppo_epochs: int
    ppo_epochs: int
    n_epochs: int
    max_grad_norm: float
    target_kl: float | None
    normalize_advantage: bool
    whiten_advantages: bool
    temperature: float
    top_p: float
    response_length: int
    max_new_tokens: int
    max_completion_length: int
    seed: int


DEFAULTS: dict[str, Any] = {
    "learning_rate": 1e-5,
    "batch_size": 64,
    "gamma": 1.0,
    "lam": 0.95,
    "cliprange": 0.2,
    "cliprange_value": 0.2,
    "vf_coef": 0.1,
    "kl_coef": 0.05,
    "num_ppo_epochs": 4,
    "max_grad_norm": 1.0,
    "max_new_tokens": 53,
}
"""Those of TRL's PPO where a model of any size can bear them; the rate is fixed, as nobody says how long it goes."""

STEADIER = "learning_rate, cliprange or max_grad_norm"
"""What to lower where learning diverges."""


@dataclass(frozen=True, init=False, repr=False)
class PPOConfig:
    """`PPOConfig(learning_rate=1e-4, batch_size=8, gamma=0.99, epsilon=0.2)`: see `Names` for all names.

    `batch_size` is the number of answers per `train_step` that you mean to give (fewer are fine), `mini_batch_size`
    that of a gradient step (unless given, the whole batch). Every name can be read back as an attribute.
    """

    config: configs.RunConfig
    """The same in plaudit's own names."""

    def __init__(self, **given: Unpack[Names]):
        refuse_unknown(given, Names.__annotations__, "PPOConfig")
        object.__setattr__(self, "config", _config(_over(DEFAULTS, given), given))  # as frozen dataclasses do

    @classmethod
    def over(cls, usual: Mapping[str, Any], given: Mapping[str, Any]) -> Self:
        """The settings given, by any of their names, and for the others the usual ones."""
        refuse_unknown(given, Names.__annotations__, "PPOConfig")
        return cls(**_over(usual, given))  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        """The value of a setting, by any of its names."""
        if name not in Names.__annotations__:
            raise AttributeError(f"PPOConfig has no setting {name!r}")
        value: Any = self.config
        for part in _field(name).split("."):
            value = getattr(value, part)
        return value if name == "seed" else aliases.LANGUAGE[name].read(value)

    def __repr__(self) -> str:
        """All settings."""
        names = [*DEFAULTS, "mini_batch_size", "ent_coef", "temperature", "top_p", "seed"]
        return f"PPOConfig({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def _over(usual: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    fields = {_field(name) for name in given}
    return {name: value for name, value in usual.items() if _field(name) not in fields} | plain(given)


def _field(name: str) -> str:
    return name if name == "seed" else aliases.LANGUAGE[name].field


def _config(named: Mapping[str, Any], given: Mapping[str, Any]) -> configs.RunConfig:
    if "mini_batch_size" not in named:
        named = {**named, "mini_batch_size": positive(named["batch_size"], "PPOConfig: batch_size")}
    own = {
        "environment": {"kind": "language"},
        "start": "the model given",
        "trainer": {"schedule": "constant"},
    }
    try:
        return configs.parse({**own, **named})
    except PlauditError as error:
        raise aliases.spoken(PlauditError(f"PPOConfig: {error}"), given, aliases.LANGUAGE) from None


class PPOTrainer:
    """Improves `model` in place by rewards that you give; the reference of the KL price is the model as it was given.

    Without a tokenizer the tokens that end an answer and that fill up are those of the model's config.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        config: PPOConfig | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ):
        if not isinstance(model, torch.nn.Module):
            raise PlauditError(
                f"model: a {type(model).__name__} is no model; load it with AutoModelForCausalLM.from_pretrained"
            )
        self.special = generated.special_tokens(model, tokenizer)
        if (kind := next(model.parameters()).dtype) != torch.float32:
            raise PlauditError(f"model: its weights are {kind}; load it with dtype=torch.float32")
        if not isinstance(config, PPOConfig | None):
            raise PlauditError(f"config: a {type(config).__name__} was given; give PPOConfig(...)")
        self.args = PPOConfig() if config is None else config
        self.model: Any = model
        self.tokenizer = tokenizer
        run = self.args.config
        self.reference = reference_of(model, run)
        policy = LanguagePolicy(model, run.policy, generator(run.seed, "policy"))
        self.drawing = generator(run.seed, "answers")
        self.updater = updater_of(policy, run, run.seed)

    def generate(
        self,
        input_ids: generated.Ids,
        attention_mask: generated.Ids | None = None,
        max_new_tokens: int | None = None,
        **others: object,
    ) -> Tensor:
        """Sampled answers to prompts, in transformers' form: the given columns, then the answers, then padding.

        Prompts may be padded at either side. `max_new_tokens` is the config's unless given; so are temperature and
        nucleus, as the log-probabilities of learning need the very same.
        """
        generated.refuse_others(others, self.args.config.policy.shaping, self.special)
        prompts = generated.prompts(input_ids, attention_mask, self.special)
        most = (
            self.args.max_new_tokens if max_new_tokens is None else positive(max_new_tokens, "max_new_tokens")
        )
        sampling = Sampling(most, rows=self.args.config.policy.rows)
        with memory_explained("batch_size or max_new_tokens"):
            answers = self.updater.policy.generate(prompts.tokens, self.special.stops, sampling, self.drawing)
        return generated.joined(prompts, answers, self.special).to(self.updater.policy.device)

    def train_step(
        self,
        inputs: Mapping[str, generated.Ids] | generated.Ids,
        outputs: ModelOutput | generated.Ids,
        rewards: generated.Numbers,
    ) -> dict[str, float]:
        """One PPO update on answers; returns metrics by their usual names.

        `inputs` is what `generate` was given (the tokenizer's output, or its `input_ids`); `outputs` what it, or
        `model.generate`, gave back; `rewards` one number per answer, or one per token of each answer. Where KL has no
        price there is no reference, and `objective/kl` is not a number.
        """
        prompts = generated.prompts_of(inputs, self.special)
        policy = self.updater.policy
        said = generated.completions(prompts, outputs, self.special, policy.device, self.tokenizer)
        paid = generated.paid(rewards, said.answers.tokens)
        memory = memory_explained("mini_batch_size or max_new_tokens")
        with memory, divergence_named(STEADIER):
            rollout = episodes_of(said, policy, self.reference, paid, Score())
            self.updater.update(rollout, remaining=1.0)
            if not self.updater.optimiser.finite:
                raise Diverged("the weights are")
        return {"objective/kl": math.nan} | self.updater.metrics

    def save(self, folder: str | Path) -> None:
        """Write the model, and the tokenizer where there is one, as transformers reads them."""
        keep_shaping(self.model, self.args.config.policy.shaping, self.special.stops)
        with quiet():
            self.model.save_pretrained(folder)
            if self.tokenizer is not None:
                self.tokenizer.save_pretrained(folder)


def reference_of(model: PreTrainedModel, config: configs.RunConfig) -> Any | None:
    """A copy of the model as it is now, where leaving it has a price."""
    return as_it_was(deepcopy(model), config.policy) if config.needs.reference else None


def updater_of(policy: LanguagePolicy, config: configs.RunConfig, seed: int) -> Updater:
    """PPO with the settings of a config."""
    algorithm = Algorithm(ppo, config.settings, "ppo")
    return Updater(policy, algorithm, config.trainer, generator(seed, "minibatches"))
