"""How a language model is made and used as a policy: plain values, so that a config is read without transformers."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from plaudit.errors import PlauditError


@dataclass(frozen=True)
class Shaping:
    """What turns logits into the distribution that is sampled from."""

    temperature: float = 1.0
    """Logits are divided by it."""
    top_p: float = 1.0
    """Only the likeliest tokens that together reach this probability are kept; 1: all."""

    def __post_init__(self) -> None:
        """Raise PlauditError where there is no such distribution."""
        if not 0 < self.temperature < float("inf"):
            raise PlauditError(
                f"temperature: {self.temperature} is no positive number; give one (greedy answers: greedy)"
            )
        if not 0 < self.top_p <= 1:
            raise PlauditError(f"top_p: {self.top_p} is no probability above 0; give one up to 1")


@dataclass(frozen=True)
class Lora:
    """The adapters of a model."""

    rank: int = 8
    """Rank of the update of each weight."""
    alpha: float = 16.0
    """The update is scaled by alpha / rank."""
    targets: tuple[str, ...] = ()
    """Names of the layers that get one, not the last one or an embedding; empty: all linear layers but the last."""

    def __post_init__(self) -> None:
        """Raise PlauditError where there is no such adapter."""
        if self.rank < 1:
            raise PlauditError(f"lora.rank: {self.rank} is too little; give 1 or more")
        if not (isfinite(self.alpha) and self.alpha > 0):
            raise PlauditError(
                f"lora.alpha: with {self.alpha} the adapters change nothing; give a number above 0"
            )


@dataclass(frozen=True)
class PolicyConfig:
    """How a language model is used as a policy."""

    critic: Literal["shared", "separate", "none"] = "shared"
    """The value of a prefix is read from the policy's own hidden states, from a model of its own, or not at all."""
    shaping: Shaping = Shaping()
    """Temperature and nucleus, of the sampler and of every log-probability alike."""
    lora: Lora | None = None
    """Train low-rank adapters instead of all weights."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the products; weights and optimiser stay in single precision."""
    gradient_checkpointing: bool = False
    """Keep no activations inside the blocks, compute them again for the gradient: slower, less memory."""
    rows: int = 64
    """Rows of like length read at once, at most; less needs less memory."""

    def __post_init__(self) -> None:
        """Raise PlauditError where nothing could be read."""
        if self.rows < 1:
            raise PlauditError(f"rows: {self.rows} is too little; give 1 or more")


@dataclass(frozen=True)
class NewModel:
    """A small model made from scratch."""

    family: str = "gpt2"
    """The architecture, by its name in transformers: gpt2, llama, qwen2 ..."""
    layers: int = 4
    """Transformer blocks."""
    width: int = 160
    """Size of the hidden states."""
    heads: int = 5
    """Attention heads; the width is a multiple of them."""
    context: int = 160
    """The longest sequence in tokens."""
    vocabulary: int = 512
    """Entries of the byte-level BPE that is trained on the texts, where no tokenizer is given."""
    spread: float = 0.02
    """Standard deviation of the first weights: 0.02 suits a width of 768, and a smaller model learns sooner with about
    0.55 / sqrt(width)."""
    activation: str | None = None
    """What bends between the two products of a block, by its name in transformers; none: what the family has. A
    processor takes three times as long for the approximation that gpt2 has as for gelu itself."""
    config: str | None = None
    """A folder with a config.json of transformers: it gives the architecture and all sizes instead of these."""
