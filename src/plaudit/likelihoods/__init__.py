"""One file per way in which feedback depends on reward.

Each has `KIND`, which the statements of `plaudit.feedback` name; `Config`; `judgements(said, shown)`, what was said in
rows as tensors (`shown`: 1 where the first option was shown first, -1 where it was not, 0 unknown); and
`loss(rewards, judgements, config)`.
"""

import pkgutil
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from plaudit.errors import PlauditError


def _by_kind() -> dict[str, ModuleType]:
    found: dict[str, ModuleType] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        module = import_module(f"{__name__}.{name}")
        kind = getattr(module, "KIND", None)
        if kind is None or kind in found:
            other = f"; {kind!r} is read by another file" if kind else ""
            raise PlauditError(f"likelihoods/{name}.py: give it a KIND of its own{other}")
        found[kind] = module
    return found


BY_KIND: dict[str, ModuleType] = _by_kind()
"""Every likelihood that has a file here, by what it reads."""

if TYPE_CHECKING:
    Said = str
else:
    Said = Literal[tuple(BY_KIND)]
"""What a likelihood reads, as the type of a setting."""
