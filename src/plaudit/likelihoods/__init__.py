"""One file per way in which feedback depends on reward.

Each has `KIND`, which the statements of `plaudit.feedback` name; `Config`; `judgements(said, shown)`, what was said in
rows as tensors (`shown`: 1 where the first option was shown first, -1 where it was not, 0 unknown); and
`loss(rewards, judgements, config)`.
"""

import pkgutil
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Literal

BY_KIND: dict[str, ModuleType] = {
    module.KIND: module
    for module in (
        import_module(f"{__name__}.{name}")
        for name in sorted(found.name for found in pkgutil.iter_modules(__path__))
    )
}
"""Every likelihood that has a file here, by what it reads."""

if TYPE_CHECKING:
    Said = str
else:
    Said = Literal[tuple(BY_KIND)]
"""What a likelihood reads, as the type of a setting."""
