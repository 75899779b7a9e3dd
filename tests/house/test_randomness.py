"""Every source of randomness is a generator that is passed in and saved; global state is never touched."""

from pathlib import Path

from tests.house.reading import ROOT, Source, by_rule, sources

RIM: dict[str, str] = {
    "src/plaudit/models/language/devices.py": "transformers and peft draw from the global generator; it "
    "is put back as it was",
}
"""Files that may touch global randomness, each with the reason (a library that offers no other way)."""


def words(text: str, before: str = "", after: str = "") -> set[str]:
    """The words of a text, each between the given ends."""
    return {f"{before}{word}{after}" for word in text.split()}


NUMPY_GENERATORS = words(
    "default_rng Generator SeedSequence BitGenerator PCG64 PCG64DXSM Philox SFC64 MT19937"
)
PYTHON_GENERATORS = words("Random SystemRandom")
TORCH_SEEDS = {
    *words("manual_seed seed set_rng_state", "torch."),
    *words("manual_seed seed set_rng_state fork_rng", "torch.random."),
    *words("manual_seed manual_seed_all seed seed_all set_rng_state set_rng_state_all", "torch.cuda."),
    *words("manual_seed seed set_rng_state", "torch.mps."),
}
TORCH_DRAWS = {
    *words("rand randn randint rand_like randn_like randint_like randperm normal", "torch."),
    *words("multinomial bernoulli poisson", "torch."),
    *words("normal uniform trunc_normal orthogonal sparse", "torch.nn.init.", "_"),
    *words("xavier_normal xavier_uniform kaiming_normal kaiming_uniform", "torch.nn.init.", "_"),
}
TENSOR_DRAWS = {
    "multinomial",
    *words("normal uniform bernoulli random exponential cauchy geometric log_normal", "", "_"),
}


def draws(source: Source) -> list[str]:
    """Calls of a module that read or set global randomness."""
    found = []
    for call, name in source.calls():
        head, _, last = name.rpartition(".")
        mend = ""
        if name in TORCH_SEEDS:
            mend = "sets torch's global generator: make a torch.Generator and pass it"
        elif head == "numpy.random" and last not in NUMPY_GENERATORS:
            mend = "uses numpy's global generator: take a numpy Generator as an argument"
        elif head == "random" and last not in PYTHON_GENERATORS:
            mend = "uses Python's global generator: take a random.Random or a numpy Generator as an argument"
        else:
            method = getattr(call.func, "attr", "") if not name else ""
            given = {word.arg for word in call.keywords}  # None: **words
            if (name in TORCH_DRAWS or method in TENSOR_DRAWS) and not given & {"generator", None}:
                mend = "draws from torch's global generator: pass generator="
        if mend:
            found.append(f"{source.where}:{call.lineno} {name or method} {mend}")
    return found


def global_randomness(root: Path) -> list[str]:
    """Every touch of global randomness in src outside the rim."""
    return [fault for source in sources(root, "src") if source.where not in RIM for fault in draws(source)]


def test_no_global_randomness() -> None:
    assert not (found := global_randomness(ROOT)), by_rule(*found)


def test_the_rim_is_no_longer_than_needed() -> None:
    used = {source.where for source in sources(ROOT, "src") if draws(source)}
    assert not set(RIM) - used, (
        f"take {sorted(set(RIM) - used)} off the list: nothing there is global any more"
    )


BAD = """import random
import numpy as np
import torch
from numpy.random import choice
from random import shuffle as mix
random.random()
np.random.seed(1)
choice([1])
mix([1])
torch.manual_seed(1)
torch.randperm(3)
torch.zeros(3).normal_()
torch.nn.init.orthogonal_(torch.zeros(2, 2))
"""
GOOD = """import random
import numpy as np
import torch
from numpy.random import default_rng
from plaudit.queries import random as choose
random.Random(1).random()
np.random.default_rng(1).normal()
default_rng(2).random()
choose.pairs()
g = torch.Generator().manual_seed(1)
torch.randperm(3, generator=g)
torch.zeros(3).normal_(generator=g)
torch.nn.init.orthogonal_(torch.zeros(2, 2), generator=g)
"""


def test_the_rule_notices_each_bad_line_and_no_good_one(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "plaudit"
    folder.mkdir(parents=True)
    (folder / "bad.py").write_text(BAD)
    (folder / "good.py").write_text(GOOD)
    lines = sorted(int(text.split(":")[1].split(" ")[0]) for text in global_randomness(tmp_path))
    assert lines == list(range(6, 14))
    assert all(text.startswith("src/plaudit/bad.py") for text in global_randomness(tmp_path))
