"""How a language model is made and used as a policy: plain values, so that a config is read without transformers."""

from dataclasses import dataclass
from typing import Annotated, Literal

from plaudit.declared import Count, Positive, Share, at_least, refuse


@dataclass(frozen=True)
class Shaping:
    """What turns logits into the distribution that is sampled from."""

    temperature: Positive = 1.0
    """Logits are divided by it."""
    top_p: Share = 1.0
    """Only the likeliest tokens that together reach this probability are kept; 1: all."""

    def __post_init__(self) -> None:
        """Raise PlauditError where there is no such distribution."""
        refuse(self, "")


@dataclass(frozen=True)
class Lora:
    """The adapters of a model."""

    rank: Count = 8
    """Rank of the update of each weight."""
    alpha: Positive = 16.0
    """The update is scaled by alpha / rank."""
    targets: tuple[str, ...] = ()
    """Names of the layers that get one, not the last one or an embedding; empty: all linear layers but the last."""

    def __post_init__(self) -> None:
        """Raise PlauditError where there is no such adapter."""
        refuse(self, "lora.")


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
    rows: Count = 64
    """Rows of like length read at once, at most; less needs less memory."""

    def __post_init__(self) -> None:
        """Raise PlauditError where nothing could be read."""
        refuse(self, "")


@dataclass(frozen=True)
class NewModel:
    """A small model made from scratch."""

    family: str = "gpt2"
    """The architecture, by its name in transformers: gpt2, llama, qwen2 ..."""
    layers: Count = 4
    """Transformer blocks."""
    width: Count = 160
    """Size of the hidden states."""
    heads: Count = 5
    """Attention heads; the width is a multiple of them."""
    context: Annotated[int, at_least(2)] = 1024
    """The longest sequence in tokens."""
    vocabulary: Count = 512
    """Entries of the byte-level BPE that is trained on the texts, where no tokenizer is given."""
    spread: Share = 0.02
    """Standard deviation of the first weights: 0.02 suits a width of 768, and a smaller model learns sooner with about
    0.55 / sqrt(width)."""
    activation: str | None = None
    """What bends between the two products of a block, by its name in transformers; none: what the family has. A
    processor takes three times as long for the approximation that gpt2 has as for gelu itself."""
    config: str | None = None
    """A folder with a config.json of transformers: it gives the architecture and all sizes instead of these."""
