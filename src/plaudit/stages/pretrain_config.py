"""How a policy is trained before any feedback: plain values."""

from dataclasses import dataclass
from typing import Annotated, Literal

from plaudit.algorithms.imitation import bc
from plaudit.declared import Count, Probability, Whole, at_least, between
from plaudit.environments.control.config import Control
from plaudit.models import actor_critic
from plaudit.models.language import config as language_models
from plaudit.models.language.config import NewModel
from plaudit.trainers import supervised


@dataclass(frozen=True)
class PretrainControl:
    """How a policy is cloned."""

    environment: Control
    """The environment of the demonstrations."""
    episodes: Count | None = None
    """Use only the first so many episodes; none: all."""
    held_out: Probability = 0.1
    """Share of the steps kept for the held-out loss."""
    settings: bc.Config = bc.Config()
    """The mathematics of cloning."""
    trainer: supervised.Config = supervised.Config(learning_rate=5e-3, epochs=50, schedule="linear")
    """How the loss is descended."""
    policy: actor_critic.PolicyConfig = actor_critic.PolicyConfig(normalise_observations=True)
    """The networks; normalised observations use the demonstrations' statistics."""
    evaluate_count: Count = 50
    """Episodes of the evaluation at the end."""
    threads: Count = 1
    """Threads of torch."""
    seed: Whole = 0
    """Seed of everything."""


@dataclass(frozen=True)
class PretrainText:
    """How a language model is trained on texts."""

    start: str | None = None
    """A folder (or hub id) with the model to go on with; none: a new small one."""
    new: NewModel = NewModel()
    """The new model, where none is given."""
    tokenizer: str | None = None
    """A folder with vocab.json and merges.txt, such as GPT-2's, for a new model; none: trained on the texts."""
    learn: Literal["answers", "everything"] = "answers"
    """Of a demonstration the answer alone, its end included, or the prompt as well. Texts are learned whole."""
    split: str | None = None
    """Use the rows of this split alone."""
    count: Annotated[int, at_least(10)] = 3000
    """How many service dialogues to generate, where these are asked for."""
    style: Literal["clerks", "plain", "both"] = "clerks"
    """The service dialogues of clerks as they are, plain right answers, or half of each."""
    context: Annotated[int, at_least(8)] | None = None
    """The longest sequence in tokens; none: as many as the model takes, and of a text pieces of 256."""
    too_long: Literal["refuse", "leave out", "cut"] = "refuse"
    """A demonstration longer than that: an error, left out, or its prompt cut at the beginning; of an answer that alone
    is longer, and of a text, the end is learned."""
    held_out: Annotated[float, between(0.001, 0.9)] = 0.05
    """Share kept for the held-out loss: of a text its end, of demonstrations any of the different prompts with all
    their answers."""
    trainer: supervised.Config = supervised.Config(
        learning_rate=3e-3,
        weight_decay=0.01,
        epochs=3,
        minibatch_size=16,
        max_grad_norm=1.0,
        schedule="linear",
        log_every=50,
    )
    """How the loss is descended."""
    policy: language_models.PolicyConfig = language_models.PolicyConfig(critic="none")
    """Adapters and precision; there is no critic here."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ..., or auto: the first GPU where there is one."""
    threads: Count = 1
    """Threads of torch."""
    seed: Whole = 0
    """Seed of everything."""


PretrainConfig = PretrainControl | PretrainText
