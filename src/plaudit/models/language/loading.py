"""Models and tokenizers in the transformers layout: read from a folder or a hub, made small, written."""

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)
from transformers.activations import ACT2FN
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from plaudit.declared import refuse
from plaudit.errors import PlauditError
from plaudit.models.language import devices, folders
from plaudit.models.language.config import NewModel, Shaping
from plaudit.models.language.devices import device, memory_explained
from plaudit.models.language.interfaces import Configured
from plaudit.models.language.vocabulary import Vocabulary

__all__ = [
    "NewModel",
    "classifies",
    "context_of",
    "device",
    "keep_shaping",
    "load",
    "make",
    "memory_explained",
    "quiet",
    "save",
    "shaping_of",
]

Kind = Literal["causal", "reward"]
CLASSES: dict[str, Any] = {"causal": AutoModelForCausalLM, "reward": AutoModelForSequenceClassification}


def load(place: str, kind: Kind = "causal") -> tuple[Any, Vocabulary]:
    """The model of a folder, or of a hub's id, in single precision and evaluation mode, and its tokenizer.

    Code that comes with a model is never run, and nothing is unpickled. Raises PlauditError where anything is
    missing, damaged or does not fit together.
    """
    folder = Path(place).expanduser()
    if not folder.exists():
        folder = folders.fetched(place, lambda known: folders.fault(known) is None)
    if fault := folders.fault(folder):
        raise PlauditError(f"{place}: {fault}")
    here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with quiet():
        try:
            model, report = CLASSES[kind].from_pretrained(
                folder,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **here,
                **({"num_labels": 1} if kind == "reward" else {}),
            )
        except Exception as error:  # the libraries raise many kinds
            if devices.is_memory_full(error):
                raise
            raise PlauditError(
                f"{place}: no usable {kind} model in the transformers layout ({_first_sentence(error)})"
            ) from None
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, **here)
        except Exception as error:
            raise PlauditError(
                f"{place}: its tokenizer cannot be read ({_first_sentence(error)}); save the tokenizer into the same "
                "folder"
            ) from None
    if not tokenizer("a", add_special_tokens=False)[
        "input_ids"
    ]:  # what transformers makes where there is none
        raise PlauditError(
            f"{place}: its tokenizer is missing or empty; save the tokenizer into the same folder"
        )
    _refuse_missing(place, model, report["missing_keys"])
    if kind == "causal" and classifies(model):
        raise PlauditError(f"{place}: is a reward model, which gives texts a score; give a language model")
    vocabulary = Vocabulary(tokenizer, place, _ends(model))
    entries, rows = max(tokenizer.get_vocab().values()) + 1, model.get_input_embeddings().weight.shape[0]
    if entries > rows:
        raise PlauditError(
            f"{place}: its tokenizer has {entries} entries, but the model knows {rows}; use the tokenizer it was "
            f"trained with, or call model.resize_token_embeddings({entries}) and save it"
        )
    return model.eval(), vocabulary


def make(new: NewModel, vocabulary: Vocabulary, generator: torch.Generator) -> Any:
    """A causal language model with weights drawn from the generator, in evaluation mode."""
    try:
        config = _of_sizes(new, vocabulary) if new.config is None else _of_folder(new.config, vocabulary)
        with quiet(), devices.kept():
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
    except PlauditError:
        raise
    except Exception as error:  # the libraries raise many kinds
        if devices.is_memory_full(error):
            raise
        what = (
            f"family: a {new.family} of these sizes"
            if new.config is None
            else f"config: the model of {new.config}"
        )
        raise PlauditError(f"{what} cannot be made ({_first_sentence(error)})") from None
    text = config.get_text_config()
    _draw(model, generator, getattr(text, "initializer_range", 0.02), text.num_hidden_layers)
    return model.eval()


def _of_sizes(new: NewModel, vocabulary: Vocabulary) -> Any:
    """The config of a small model."""
    if new.family not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        near = get_close_matches(new.family, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, n=1) or ["gpt2"]
        raise PlauditError(
            f"family: {new.family!r} is no causal language model of transformers; did you mean {near[0]}?"
        )
    refuse(new, "")
    if new.activation is not None and new.activation not in ACT2FN:
        near = get_close_matches(new.activation, ACT2FN, n=1) or ["gelu"]
        raise PlauditError(f"activation: transformers knows no {new.activation!r}; did you mean {near[0]}?")
    if new.width % new.heads:
        raise PlauditError(f"heads: {new.heads} do not divide the width {new.width}; change one of them")
    sizes: dict[str, Any] = {
        "hidden_size": new.width,
        "num_hidden_layers": new.layers,
        "num_attention_heads": new.heads,
        "max_position_embeddings": new.context,
        "vocab_size": len(vocabulary),
        "tie_word_embeddings": True,
        "initializer_range": new.spread,
    }
    if new.family == "gpt2":
        sizes |= {
            "activation_function": new.activation or "gelu_pytorch_tanh"
        }  # gelu_new in one operation, not seven
    elif new.width // new.heads % 2:
        raise PlauditError(
            f"heads: {new.heads} make width / heads = {new.width // new.heads}, which must be even for positions that "
            "are rotations; change one of them"
        )
    else:
        sizes |= {"num_key_value_heads": new.heads, "intermediate_size": 4 * new.width}
        sizes |= {} if new.activation is None else {"hidden_act": new.activation}
    return AutoConfig.for_model(new.family, **sizes, **_specials(vocabulary))


def _of_folder(place: str, vocabulary: Vocabulary) -> Any:
    """The config in a folder, with at least as many entries as the tokenizer has."""
    folder = Path(place).expanduser()
    folder = folder.parent if folder.name == "config.json" else folder
    if not (folder / "config.json").is_file():
        raise PlauditError(f"config: there is no config.json in {folder}; give the folder that holds one")
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    text = config.get_text_config()
    text.vocab_size = max(text.vocab_size, len(vocabulary))
    for name, token in _specials(vocabulary).items():
        setattr(text, name, token)
    return config


def _specials(vocabulary: Vocabulary) -> dict[str, int | None]:
    begin = vocabulary.tokenizer.bos_token_id
    return {
        "eos_token_id": vocabulary.end,
        "bos_token_id": vocabulary.end if begin is None else begin,
        "pad_token_id": vocabulary.tokenizer.pad_token_id,
    }


def save(folder: Path, model: PreTrainedModel, vocabulary: Vocabulary) -> None:
    """Write model and tokenizer as transformers reads them, weights as safetensors."""
    with quiet():
        model.save_pretrained(folder)
        vocabulary.tokenizer.save_pretrained(folder)


def shaping_of(model: PreTrainedModel) -> Shaping:
    """Temperature and nucleus that a model was saved with, as transformers keeps them; 1 where nothing is said."""
    said = getattr(model, "generation_config", None)
    if not getattr(said, "do_sample", None):
        return Shaping()
    return Shaping(getattr(said, "temperature", None) or 1.0, getattr(said, "top_p", None) or 1.0)


def keep_shaping(model: PreTrainedModel, shaping: Shaping, stops: Collection[int]) -> None:
    """Let a model be saved with the temperature, the nucleus and the tokens that end an answer it has learned with.

    With others, or with the likeliest 50 alone, which transformers takes where nothing is said, it is another policy.
    """
    said = model.generation_config
    said.do_sample, said.temperature, said.top_p, said.top_k = True, shaping.temperature, shaping.top_p, 0
    said.eos_token_id = sorted(stops) or said.eos_token_id


def context_of(model: Configured) -> int | None:
    """The longest sequence a model takes, in tokens; none where its config does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def _ends(model: PreTrainedModel) -> set[int]:
    """The tokens that end an answer, as transformers keeps them; chat models have one of a turn and one of a text."""
    said = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return set() if said is None else {said} if isinstance(said, int) else set(said)


def _refuse_missing(place: str, model: PreTrainedModel, missing: Collection[str]) -> None:
    """Weights that are not in the file would be drawn at random; only the score of a new reward model may be."""
    lacking = sorted(name for name in missing if classifies(model) or not name.startswith("score."))
    if lacking:
        raise PlauditError(
            f"{place}: {len(lacking)} of the weights of a {type(model).__name__} are missing ({lacking[0]} is one), so "
            "it is incomplete or another kind of model; give the whole model"
        )


def classifies(model: PreTrainedModel) -> bool:
    """Whether a model was saved as one that gives texts a score."""
    return "ForSequenceClassification" in str(getattr(model.config, "architectures", None))


def _draw(model: nn.Module, generator: torch.Generator, spread: float, layers: int) -> None:
    """Normal weights; the last product of every residual branch is smaller by sqrt(2 layers) (Radford et al. 2019,
    section 2.3); biases 0."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() >= 2:
                residual = name.endswith(("c_proj.weight", "o_proj.weight", "down_proj.weight"))
                p.normal_(0.0, spread / (2 * layers) ** 0.5 if residual else spread, generator=generator)
            elif name.endswith("bias"):
                p.zero_()


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and advice from the libraries, nor what they call by an old name of each other's."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).split(". ")[0][:200]
