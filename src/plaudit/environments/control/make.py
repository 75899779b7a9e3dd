"""Make environments by name, as a `Source`: our own vectorised ones where we have them."""

import inspect
import warnings
from collections.abc import Callable
from difflib import get_close_matches

import gymnasium
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import DependencyNotInstalled, UnregisteredEnv
from gymnasium.spaces import Box
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from plaudit.environments.control import classes
from plaudit.environments.control.classic import PHYSICS, ClassicVectorEnv
from plaudit.environments.control.config import Control, in_file
from plaudit.environments.control.spaces import FlatObservation
from plaudit.environments.control.vector_env import Source
from plaudit.environments.control.wrappers import FixedHorizon, Replayable
from plaudit.errors import PlauditError

MODES = {
    "same_step": AutoresetMode.SAME_STEP,
    "next_step": AutoresetMode.NEXT_STEP,
    "disabled": AutoresetMode.DISABLED,
}


def make(config: Control) -> Source:
    """The environments of `config`, not yet reset. PlauditError where it names something impossible."""
    if config.envs < 1:
        raise PlauditError(f"environment.envs: {config.envs} environments are too few; give 1 or more")
    spec = find(config.id)
    _hush(spec)
    vectorization = config.vectorization
    if vectorization == "auto":
        vectorization = "numpy" if _have(spec.id, config) else "sync"
    if config.horizon == "fixed" and vectorization in ("numpy", "vector_entry_point"):
        raise PlauditError(
            f"environment.horizon: fixed does not work with vectorization {vectorization}; "
            "set environment.vectorization to sync"
        )
    vector = _vector(config, spec, vectorization)
    try:
        name = (
            spec.id if spec.id in gymnasium.registry else config.id
        )  # by which it is found again, to be drawn
        return Source(vector, name, config.kwargs, config.resume, _limit(config, spec))
    except PlauditError:
        vector.close()
        raise


def made_by(function: Callable[[], gymnasium.Env], envs: int) -> Source:
    """So many environments of a function that makes one, not yet reset."""

    def one() -> gymnasium.Env:
        env = function()
        return flattened(env, type(env.unwrapped).__name__)

    try:
        return Source(
            SyncVectorEnv([one] * envs, copy=False, autoreset_mode=AutoresetMode.SAME_STEP),
            resume="exact",
        )
    except (
        DependencyNotInstalled,
        ModuleNotFoundError,
        gymnasium.error.Error,
        TypeError,
        ValueError,
    ) as error:
        raise PlauditError(
            f"the function that makes an environment raised {type(error).__name__}: {' '.join(str(error).split())}; "
            "mend it"
        ) from error


def flattened(env: gymnasium.Env, name: str) -> gymnasium.Env:
    """The environment with observations that are one array of numbers."""
    return env if isinstance(env.observation_space, Box) else FlatObservation(env, name)


def find(id: str) -> EnvSpec:
    """The spec of an environment by its id, or by the place of its class; PlauditError with the nearest known id where
    there is none.
    """
    if in_file(id):
        return classes.from_file(id)
    place, _, name = id.rpartition(":")
    module = classes.imported(place, id) if place else None
    try:
        if module is not None and name not in gymnasium.registry:
            found = classes.from_module(module, name)
            if found is not None:
                return found
        return gymnasium.spec(name)
    except gymnasium.error.Error as error:
        known = sorted(gymnasium.registry) + (classes.names_in(module) if module else [])
        near = get_close_matches(name, known, 1, 0.4)
        lowered = {one.lower(): one for one in known}
        near = near or [lowered[one] for one in get_close_matches(name.lower(), lowered, 1, 0.4)]
        hint = f"did you mean {near[0]!r}?" if near else "register it with gymnasium.register first"
        detail = "" if isinstance(error, UnregisteredEnv) else f" ({' '.join(str(error).split())})"
        raise PlauditError(f"environment.id: there is no environment {id!r}{detail}; {hint}") from None


def _hush(spec: EnvSpec) -> None:
    """Some of Gymnasium's robots use an attribute that MuJoCo will drop one day. It says so for each one that is made,
    and writes a file about it where the run was started: nobody who uses them can mend it."""
    if "mujoco" not in str(spec.entry_point):
        return
    try:
        import mujoco
    except ImportError:  # said where it is made
        return

    def warned(message: str) -> None:
        if "settotalmass" not in message:
            warnings.warn(f"MuJoCo: {message}", stacklevel=2)

    mujoco.set_mju_user_warning(warned)  # pyright: ignore[reportAttributeAccessIssue]


def _have(id: str, config: Control) -> bool:
    """We have this environment and it takes these settings."""
    if id not in PHYSICS or config.horizon == "fixed":
        return False
    return set(config.kwargs) <= {*inspect.signature(PHYSICS[id]).parameters, "max_episode_steps"}


def _limit(config: Control, spec: EnvSpec) -> int | None:
    """The time limit; None where there is none (Gymnasium's -1)."""
    limit = config.kwargs.get("max_episode_steps", spec.max_episode_steps)
    if limit is not None and limit != -1 and limit < 1:
        raise PlauditError(
            f"environment.kwargs.max_episode_steps: {limit} is no time limit; give 1 or more, or -1"
        )
    return None if limit == -1 else limit


def _vector(config: Control, spec: EnvSpec, vectorization: str) -> VectorEnv:
    try:
        if vectorization == "numpy":
            return _classic(config, spec)
        if vectorization == "vector_entry_point":
            return _entry_point(config, spec)
        one = _one(config, spec)
        if vectorization == "sync":
            return SyncVectorEnv([one] * config.envs, copy=False, autoreset_mode=MODES[config.autoreset])
        return AsyncVectorEnv([one] * config.envs, copy=False, autoreset_mode=MODES[config.autoreset])
    except (DependencyNotInstalled, ModuleNotFoundError) as error:
        raise PlauditError(
            f"{spec.id} needs a package that is not installed ({' '.join(str(error).split())}); "
            "install it with: pip install 'plaudit[control]'"
        ) from error
    except PlauditError:
        raise
    except Exception as error:
        raise PlauditError(
            f"{spec.id} could not be made with kwargs {config.kwargs}: {type(error).__name__}: "
            f"{' '.join(str(error).split())}; correct environment.kwargs"
        ) from error


def _classic(config: Control, spec: EnvSpec) -> ClassicVectorEnv:
    if not _have(spec.id, config):
        why = f" with kwargs {config.kwargs}" if spec.id in PHYSICS else f"; ours are {', '.join(PHYSICS)}"
        raise PlauditError(f"environment.vectorization: there is no NumPy {spec.id}{why}; set it to auto")
    kwargs = {name: value for name, value in config.kwargs.items() if name != "max_episode_steps"}
    return ClassicVectorEnv(PHYSICS[spec.id](**kwargs), config.envs, _limit(config, spec))


def _entry_point(config: Control, spec: EnvSpec) -> VectorEnv:
    if spec.vector_entry_point is None:
        raise PlauditError(f"environment.vectorization: {spec.id} has no vector_entry_point; set it to auto")
    return gymnasium.make_vec(
        spec.id, num_envs=config.envs, vectorization_mode="vector_entry_point", **config.kwargs
    )


def _one(config: Control, spec: EnvSpec) -> Callable[[], gymnasium.Env]:
    def one() -> gymnasium.Env:
        # the passive checker only warns, and costs as much as a small environment's physics
        env = gymnasium.make(find(config.id), disable_env_checker=True, **config.kwargs)
        if config.horizon == "fixed":
            horizon = _limit(config, spec)
            if horizon is None:
                raise PlauditError(
                    f"environment.horizon: {spec.id} has no time limit to fix the horizon at; "
                    "give one in environment.kwargs as max_episode_steps"
                )
            env = FixedHorizon(env, horizon)
        return Replayable(flattened(env, spec.id))

    return one
