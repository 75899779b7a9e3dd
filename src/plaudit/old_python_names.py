"""Modules and names that programs for the version before import; they work for one version, with a note.

The rooms of the package are named by stage now, so `plaudit.pipeline` and `plaudit.faces` are gone, and small modules
lie in the one they belong to. Python finds them here, where no module of that name exists, and is given today's
objects.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from plaudit.errors import Renamed

MODULES: dict[str, str | None] = {
    "plaudit.environments.control.actions": "plaudit.environments.control.wrappers",
    "plaudit.environments.control.classic.physics": "plaudit.environments.control.classic.vectorised",
    "plaudit.environments.control.sprites": "plaudit.environments.control.rendering",
    "plaudit.environments.language.answers": "plaudit.environments.language.prompts",
    "plaudit.environments.language.caps": "plaudit.environments.language.config",
    "plaudit.faces": "plaudit.api",
    "plaudit.faces.agent": "plaudit.api.agent",
    "plaudit.faces.environments": "plaudit.api.environments",
    "plaudit.faces.feedback": "plaudit.api.feedback",
    "plaudit.faces.finetuning": "plaudit.api.finetuning",
    "plaudit.faces.reward": "plaudit.api.reward",
    "plaudit.faces.schedules": "plaudit.api.arguments",
    "plaudit.faces.trainer": "plaudit.api.trainer",
    "plaudit.faces.tuned": "plaudit.api.arguments",
    "plaudit.faces.wrappers": "plaudit.api.environments",
    "plaudit.feedback.places": "plaudit.feedback.fields",
    "plaudit.models.language.attention": "plaudit.models.language.logprobs",
    "plaudit.models.language.checkpointing": "plaudit.models.language.devices",
    "plaudit.models.language.global_randomness": "plaudit.models.language.devices",
    "plaudit.models.language.hub": "plaudit.models.language.folders",
    "plaudit.pipeline": None,
    "plaudit.pipeline.compare": "plaudit.stages.compare",
    "plaudit.pipeline.control": None,
    "plaudit.pipeline.control.config": "plaudit.runs.config",
    "plaudit.pipeline.control.saved": "plaudit.runs.saved",
    "plaudit.pipeline.kinds": "plaudit.runs.config",
    "plaudit.pipeline.language": None,
    "plaudit.pipeline.language.config": "plaudit.runs.config",
    "plaudit.pipeline.language.pretrain": "plaudit.stages.pretrain",
    "plaudit.pipeline.optimise": "plaudit.stages.optimise",
    "plaudit.pipeline.report": "plaudit.report",
    "plaudit.pipeline.restore": "plaudit.stages.verify",
    "plaudit.pipeline.run_folder": "plaudit.runs.folder",
    "plaudit.pipeline.settings": "plaudit.runs.settings",
    "plaudit.pipeline.statistics": "plaudit.runs.statistics",
    "plaudit.pipeline.verify": "plaudit.stages.verify",
    "plaudit.queries.unordered": "plaudit.queries.random",
    "plaudit.readers.comparisons": "plaudit.readers.arrays",
    "plaudit.readers.questions": "plaudit.readers.judgements",
    "plaudit.storage.answers": "plaudit.storage.answer_log",
    "plaudit.storage.sql": "plaudit.storage.database",
    "plaudit.web.address": "plaudit.web.guard",
    "plaudit.web.app": "plaudit.web.server",
    "plaudit.web.metrics": "plaudit.web.trainer",
    "plaudit.web.progress": "plaudit.web.statistics",
    "plaudit.web.tasks": "plaudit.web.task_view",
}
"""The module that has the names of an old one; none: it held only others."""
NAMES: dict[str, str] = {
    "plaudit.pipeline.control.config.demo": "plaudit.stages.demo.control",
    "plaudit.pipeline.control.config.demo_with_me": "plaudit.stages.demo.control_with_me",
    "plaudit.pipeline.control.config.draft": "plaudit.runs.config.parse",
    "plaudit.pipeline.control.config.settled": "plaudit.runs.config.resolve_paths",
    "plaudit.pipeline.kinds.draft": "plaudit.runs.config.parse",
    "plaudit.pipeline.kinds.settled": "plaudit.runs.config.resolve_paths",
    "plaudit.pipeline.language.config.draft": "plaudit.runs.config.parse",
    "plaudit.pipeline.language.config.settled": "plaudit.runs.config.resolve_paths",
    "plaudit.pipeline.language.pretrain.PretrainConfig": "plaudit.stages.pretrain_config.PretrainText",
    "plaudit.pipeline.run_folder.seed_of": "plaudit.seeds.seed_of",
}
"""Names that are called otherwise in the module of today, or lie in another one."""


class OldModules(MetaPathFinder, Loader):
    """Finds the modules of the version before; asked last, so that what exists is found first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where it is one of ours."""
        if fullname not in MODULES:
            return None
        return ModuleSpec(fullname, self, is_package=any(name.startswith(f"{fullname}.") for name in MODULES))

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As Python makes it."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Its names are looked up when somebody asks for them."""
        new = MODULES[module.__name__]
        if new is not None:
            warnings.warn(f"{module.__name__} is called {new} now", Renamed, stacklevel=2)
        module.__doc__ = f"What is {new or 'in other modules'} now."
        module.__getattr__ = _Looked(module.__name__)  # type: ignore[method-assign]


@dataclass(frozen=True)
class _Looked:
    """The `__getattr__` of an old module."""

    old: str

    def __call__(self, name: str) -> Any:
        new = NAMES.get(f"{self.old}.{name}")
        if new is not None:
            warnings.warn(f"{self.old}.{name} is called {new} now", Renamed, stacklevel=2)
            place, _, name = new.rpartition(".")
            return getattr(import_module(place), name)
        module = MODULES[self.old]
        if module is None or name.startswith("__"):
            raise AttributeError(f"module {self.old!r} has no attribute {name!r}")
        return getattr(import_module(module), name)


def install() -> None:
    """Let Python ask here for modules that it finds nowhere else."""
    if not any(isinstance(finder, OldModules) for finder in sys.meta_path):
        sys.meta_path.append(OldModules())


ON_POLICY = "plaudit.trainers.on_policy"


@dataclass(frozen=True)
class Learner:
    """What `plaudit.trainers.on_policy.Learner` was: an algorithm with its settings and how its loss is descended."""

    algorithm: Any
    settings: Any
    config: Any


def start(policy: object, config: object, generator: object) -> Any:
    """What `plaudit.trainers.on_policy.start` was: whatever changes while a policy learns, today's `Updater`."""
    today = import_module(ON_POLICY)
    return today.Updater(policy, today.Algorithm(ModuleType("none"), None), config, generator)


def update(state: Any, rollout: object, learner: Learner, remaining: float) -> None:
    """What `plaudit.trainers.on_policy.update` was: one improvement of the policy on a rollout, in place."""
    state.algorithm = import_module(ON_POLICY).Algorithm(learner.algorithm, learner.settings)
    state.config = learner.config
    state.update(rollout, remaining)


TRAINING: dict[str, tuple[Callable[..., Any], str]] = {
    "Learner": (Learner, "Algorithm"),
    "start": (start, "Updater"),
    "update": (update, "Updater.update"),
}
"""By old name of the trainer: what still does it, and what does it now."""


def of_training(name: str) -> Any:
    """The `__getattr__` of `plaudit.trainers.on_policy`."""
    if name not in TRAINING:
        raise AttributeError(f"module {ON_POLICY!r} has no attribute {name!r}")
    found, new = TRAINING[name]
    warnings.warn(f"{ON_POLICY}.{name} is called {ON_POLICY}.{new} now", Renamed, stacklevel=3)
    return found
