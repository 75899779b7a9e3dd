"""What is used of a model of transformers and of its parts, whatever their class."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.generic import ModelOutput

__all__ = ["Configured", "ModelOutput", "PreTrainedModel", "PreTrainedTokenizerBase", "Trunk"]


@runtime_checkable
class Configured(Protocol):
    """A model, or a part of one, that says how it is made."""

    @property
    def config(self) -> PreTrainedConfig:
        """Sizes and the like."""
        ...


@runtime_checkable
class Trunk(Configured, Protocol):
    """A model without its last layer: from tokens to hidden states."""

    def __call__(
        self, *, input_ids: Tensor, attention_mask: Tensor, use_cache: bool, **others: object
    ) -> Any:
        """An output of transformers with `last_hidden_state`."""
        ...
