"""Names of hyper-parameters that people know from Stable-Baselines3, TRL and trlX, as fields of our configs.

One table for config files and for the faces. A name stands at the top of a config, as it does there; the field it
means may be given instead, but not both.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from plaudit.errors import PlauditError
from plaudit.maths.constraint import StopAt
from plaudit.models.exploration import StateDependent


@dataclass(frozen=True)
class Meaning:
    """What a name stands for."""

    field: str
    """The path of our field."""
    value: Callable[[Any], Any] = lambda given: given
    """Our value from theirs."""
    read: Callable[[Any], Any] = lambda ours: ours
    """Theirs from ours."""


def _trace(lam: object) -> dict[str, Any]:
    return {"kind": "gae", "lam": lam}


def _stop(target: object) -> Any:
    """Stable-Baselines3 stops at 1.5 times its target."""
    if isinstance(target, int | float) and not isinstance(target, bool):
        return {"kind": "stop_at", "limit": 1.5 * target}
    return None if target is None else {"kind": "stop_at", "limit": target}


def _target(constraint: object) -> Any:
    """The target of which `_stop` makes the limit."""
    return float(f"{constraint.limit / 1.5:.12g}") if isinstance(constraint, StopAt) else None


def _lam(estimator: object) -> Any:
    return getattr(estimator, "lam", None)


def _noise(smooth: object) -> Any:
    kinds = {True: "state_dependent", False: "gaussian_noise"}
    return {"kind": kinds[smooth]} if isinstance(smooth, bool) else smooth


EVERYWHERE: dict[str, Meaning] = {
    "learning_rate": Meaning("trainer.learning_rate"),
    "max_grad_norm": Meaning("trainer.max_grad_norm"),
    "gamma": Meaning("settings.discount"),
    "vf_coef": Meaning("settings.value_coef"),
    "gae_lambda": Meaning("settings.advantage", _trace, _lam),
    "lam": Meaning("settings.advantage", _trace, _lam),
    "clip_range": Meaning("settings.clip"),
    "cliprange": Meaning("settings.clip"),
    "clip_range_vf": Meaning("settings.value_clip"),
    "cliprange_value": Meaning("settings.value_clip"),
    "ent_coef": Meaning("settings.entropy_coef"),
    "normalize_advantage": Meaning("settings.standardise_advantages"),
    "whiten_advantages": Meaning("settings.standardise_advantages"),
    "target_kl": Meaning("settings.constraint", _stop, _target),
    "kl_coef": Meaning("settings.kl.coef"),
    "n_epochs": Meaning("trainer.epochs"),
    "num_ppo_epochs": Meaning("trainer.epochs"),
    "ppo_epochs": Meaning("trainer.epochs"),
}

CONTROL: dict[str, Meaning] = EVERYWHERE | {
    "n_envs": Meaning("environment.envs"),
    "n_steps": Meaning("environment.n_steps"),
    "batch_size": Meaning("trainer.minibatch_size"),
    "n_timesteps": Meaning("timesteps"),
    "total_timesteps": Meaning("timesteps"),
    "normalize_observations": Meaning("policy.normalise_observations"),
    "normalize_reward": Meaning("reward.normalise"),
    "net_arch": Meaning("policy.hidden"),
    "log_std_init": Meaning("policy.log_std"),
    "use_sde": Meaning("policy.exploration", _noise, lambda ours: isinstance(ours, StateDependent)),
}
"""Of Stable-Baselines3 and its zoo; `batch_size` is that of a gradient step."""

LANGUAGE: dict[str, Meaning] = EVERYWHERE | {
    "batch_size": Meaning("environment.batch_size"),
    "mini_batch_size": Meaning("trainer.minibatch_size"),
    "init_kl_coef": Meaning("settings.kl.coef"),
    "epsilon": Meaning("settings.clip"),
    "response_length": Meaning("environment.max_new_tokens"),
    "max_new_tokens": Meaning("environment.max_new_tokens"),
    "max_completion_length": Meaning("environment.max_new_tokens"),
    "num_generations": Meaning("environment.num_generations"),
    "temperature": Meaning("policy.shaping.temperature"),
    "top_p": Meaning("policy.shaping.top_p"),
    "sft_model_path": Meaning("start"),
    "reward_model_path": Meaning("reward.start"),
}
"""Of TRL and trlX; `batch_size` is the number of answers per update."""


def expand(given: Mapping[str, Any], table: Mapping[str, Meaning], known: Collection[str]) -> dict[str, Any]:
    """The mapping with our fields in place of other libraries' names; `known` are the names that stay as they are.

    Raises PlauditError where a name is unknown and another library's is the nearest, or where two names mean one field.
    """
    found = {name: value for name, value in given.items() if name in known or name not in table}
    for name in found:
        if name not in known:
            refuse_near(str(name), table, known)
    said: dict[str, str] = {}
    for name, value in given.items():
        if name in found:
            continue
        meaning = table[name]
        other = said.setdefault(meaning.field, name)
        if other != name:
            raise PlauditError(f"{name}: means the same as {other}; leave one of them out")
        if value is None and meaning.value is _stop:
            continue  # no limit, which is what there is anyhow
        found = _placed(found, meaning.field.split("."), meaning.value(value), name, meaning.field)
    return found


def refuse_near(name: str, table: Mapping[str, Meaning], known: Collection[str]) -> None:
    """Raise PlauditError for an unknown name that looks most like one of the table."""
    near = get_close_matches(name, [*known, *table], 1, 0.6)
    if near and near[0] in table and near[0] not in known:
        raise PlauditError(f"{name}: unknown field; did you mean {near[0]!r}?")


def spoken(error: PlauditError, given: Collection[str], table: Mapping[str, Meaning]) -> PlauditError:
    """The same error with the name that was given in place of our field."""
    text = str(error)
    names = {table[name].field: name for name in given if name in table}
    for field, name in sorted(names.items(), key=lambda item: -len(item[0])):
        for said in (f"{field}.lam", f"{field}.limit", field):
            if f"{said}: " in text:
                return PlauditError(text.replace(f"{said}: ", f"{name}: ", 1))
    return error


def _placed(tree: dict[str, Any], path: list[str], value: object, name: str, field: str) -> dict[str, Any]:
    """The tree with a value at a path; a text where a mapping belongs is left for whoever checks the config."""
    first, *rest = path
    below = tree.get(first)
    if not rest:
        if first in tree:
            raise PlauditError(f"{name}: means the same as {field}; leave one of them out")
        return tree | {first: value}
    if isinstance(below, str) and first == "environment":
        below = {"id": below}
    if below is not None and not isinstance(below, Mapping):
        return tree
    return tree | {first: _placed(dict(below or {}), rest, value, name, field)}
