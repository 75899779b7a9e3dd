"""Settings: every config survives YAML, and every mistake is one sentence that names its field."""

import math
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.algorithms.imitation import bc
from plaudit.algorithms.on_policy import ppo, reinforce
from plaudit.annotators.simulated import SimulatedPerson
from plaudit.environments.control.make import Control
from plaudit.errors import PlauditError
from plaudit.likelihoods import bradley_terry
from plaudit.maths.advantage import GAE, MonteCarlo
from plaudit.models.actor_critic import PolicyConfig
from plaudit.models.reward_ensemble import RewardConfig
from plaudit.pipeline.control import config as run_config
from plaudit.pipeline.control.config import FeedbackSettings, RewardSettings, RunConfig
from plaudit.stages.reward import LearnRewardConfig
from plaudit.stages.pretrain import CloneConfig
from plaudit.runs.settings import build, dump, kind_of, load_yaml
from plaudit.trainers import on_policy, supervised
from plaudit.rewards.learned import fit as reward_fit

SCHEMAS = [
    Control, PolicyConfig, RewardConfig, RewardSettings, FeedbackSettings, CloneConfig, LearnRewardConfig,
    on_policy.Config, reward_fit.Config, supervised.Config, bradley_terry.Config, bc.Config, ppo.Config,
    reinforce.Config, RunConfig,
]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "))
UNIT = st.floats(0, 1, exclude_max=True)
PERSON = st.builds(
    SimulatedPerson, st.floats(0, allow_nan=False), UNIT, UNIT, UNIT, st.floats(0.001, 1)
)  # its values have meanings and are checked
PLAIN = {
    int: st.integers(),
    float: st.floats(allow_nan=False),
    str: TEXT,
    bool: st.booleans(),
    NoneType: st.none(),
    Any: st.dictionaries(TEXT, st.integers() | TEXT, max_size=3),
}


def values_of(schema: Any) -> st.SearchStrategy[Any]:
    """Any value of an annotated type, by its annotation alone."""
    if schema is SimulatedPerson:
        return PERSON
    if schema in PLAIN:
        return PLAIN[schema]
    origin, members = get_origin(schema), get_args(schema)
    if is_dataclass(schema):
        hints = get_type_hints(schema)
        return st.builds(schema, **{f.name: values_of(hints[f.name]) for f in fields(schema)})
    if origin in (Union, UnionType):
        return st.one_of([values_of(member) for member in members])
    if origin is Literal:
        return st.sampled_from(members)
    if origin is tuple:
        return st.lists(values_of(members[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(values_of(members[0]), values_of(members[1]), max_size=3)
    raise AssertionError(f"no strategy for {schema}: extend this test")


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: f"{s.__module__}.{s.__name__}")
def test_every_config_comes_back_from_yaml(schema: Any) -> None:
    @given(values_of(schema))
    @settings(max_examples=12, deadline=None, derandomize=True)
    def comes_back(config: Any) -> None:
        tree = yaml.safe_load(yaml.safe_dump(dump(config), sort_keys=False, allow_unicode=True))
        if schema is RunConfig:
            config = build(schema, dump(config), "")  # `settings` is plain data until its algorithm is known
        assert build(schema, tree, "") == config

    comes_back()


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: f"{s.__module__}.{s.__name__}")
def test_every_default_has_the_type_it_declares(schema: Any) -> None:
    hints = get_type_hints(schema)
    for one in fields(schema):
        default = one.default if one.default is not MISSING else None
        if one.default_factory is not MISSING:
            default = one.default_factory()
        elif one.default is MISSING:
            continue
        tree = _tree(default)
        assert build(hints[one.name], tree, one.name) == default


def _tree(value: Any) -> Any:
    @dataclass(frozen=True)
    class One:
        value: Any

    return dump(One(value))["value"]


def test_a_whole_run_config_by_hand() -> None:
    text = """
    environment: Pendulum-v1
    algorithm: ppo
    steps: 1e5
    settings: {advantage: monte_carlo, constraint: {kind: stop_at, limit: 2e-2}, clip: 0.1}
    trainer: {learning_rate: 1e-3, max_grad_norm: null, anneal: [clip]}
    feedback: {people: [{beta: .inf}, {mistake: .1}]}
    """
    config = run_config.from_mapping(yaml.safe_load(text), "here")
    assert config.environment == Control("Pendulum-v1")
    assert config.steps == 100_000 and type(config.steps) is int
    assert config.settings.advantage == MonteCarlo()
    assert config.settings.constraint.limit == 0.02 and config.settings.clip == 0.1
    assert config.trainer.learning_rate == 0.001 and config.trainer.max_grad_norm is None
    assert config.trainer.anneal == ("clip",)
    assert [person.beta for person in config.feedback.people] == [math.inf, math.inf]
    assert config.feedback.people[1].mistake == 0.1
    assert run_config.from_mapping(dump(config), "again") == config


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("3", 3.0),
        ("'2.5e-4'", 0.00025),
        ("1_000.5", 1000.5),
    ],
)
def test_numbers_as_yaml_writes_them(text: str, value: float) -> None:
    assert build(float, yaml.safe_load(text), "x") == value


@dataclass(frozen=True)
class Inner:
    width: int = 1


@dataclass(frozen=True)
class Outer:
    needed: str
    number: float = 1.0
    count: int | None = None
    flag: bool = False
    word: Literal["red", "green"] = "red"
    inner: Inner = Inner()
    either: GAE | MonteCarlo = GAE()
    several: tuple[Inner, ...] = ()
    names: dict[str, float] = field(default_factory=dict)


WRONG = {
    "needed": (None, "needed: None is not a text"),
    "number": ("many", "number: 'many' is not a number"),
    "count": (1.5, "count: 1.5 is not"),
    "flag": ("yes please", "flag: 'yes please' is not true or false"),
    "word": ("blue", "word: 'blue' is not one of red, green"),
    "inner": (3, "inner: 3 is not a mapping of fields"),
    "several": ({"width": 2}, "several: {'width': 2} is not a list"),
    "names": ([1], "names: [1] is not a mapping"),
    "either": ({"kind": "gea"}, "either: {'kind': 'gea'} is not one of gae, monte_carlo"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_value_names_its_field(name: str) -> None:
    value, sentence = WRONG[name]
    with pytest.raises(PlauditError) as caught:
        build(Outer, {"needed": "x", name: value}, "")
    assert str(caught.value).startswith(sentence), caught.value


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ({"neded": "x"}, "neded: unknown field; did you mean 'needed'?"),
        ({"needed": "x", "zzz": 1}, "zzz: unknown field; known fields: count, either"),
        ({"needed": "x", 5: 1}, "5: unknown field"),
        ({}, "needed: this field is missing"),
        ({"needed": "x", "inner": {"with": 1}}, "inner.with: unknown field; did you mean 'width'?"),
        (
            {"needed": "x", "several": [{}, {"width": "wide"}]},
            "several[1].width: 'wide' is not a whole number",
        ),
        ({"needed": "x", "names": {"a": "b"}}, "names.a: 'b' is not a number"),
        ({"needed": "x", "either": "gea"}, "either: 'gea' is not one of gae, monte_carlo"),
        ({"needed": "x", "either": {"kind": ["gae"]}}, "either: {'kind': ['gae']} is not one of"),
        ({"needed": "x", "either": {"kind": "gae", "lamda": 1}}, "either.lamda: unknown field; "),
        ({"needed": "x", "count": "three"}, "count: 'three' is not"),
        ({"needed": "x", "count": True}, "count: True is not"),
        ({"needed": "x", "number": True}, "number: True is not a number"),
        ({"needed": "x", "count": math.inf}, "count: inf is not"),
        ({"needed": "x", "number": 10**400}, "number: 1000"),
        ({"needed": "x", "word": ["red"]}, "word: ['red'] is not one of red, green"),
        ([], "[] is not a mapping of fields"),
    ],
)
def test_a_mistake_is_one_sentence(tree: Any, sentence: str) -> None:
    with pytest.raises(PlauditError) as caught:
        build(Outer, tree, "")
    assert str(caught.value).lstrip(": ").startswith(sentence), caught.value


def test_kinds_read_as_words() -> None:
    assert [kind_of(cls) for cls in (GAE, MonteCarlo, SimulatedPerson)] == [
        "gae",
        "monte_carlo",
        "simulated_person",
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1", "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
        (b"- 1\n", "a config is a mapping of names to values, not list"),
        (b"", "a config is a mapping of names to values"),
        (b"a: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
        (b"a: 1\n\tb: 2\n", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(PlauditError, match=sentence) as caught:
        load_yaml(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    for path, sentence in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "cannot be read")):
        with pytest.raises(PlauditError, match=sentence):
            load_yaml(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"reward": {"weights": {"learned": 1}}},
            "reward.weights: 'learned' has a weight but nothing teaches it",
        ),
        ({"feedback": {"labels": 9}}, "feedback.labels: people are asked but"),
        (
            {"feedback": {"labels": 9}, "reward": {"weights": {"learned": 1}}},
            "feedback.first: more than feedback.labels",
        ),
        ({"settings": {"kl_in_reward": 0.1}}, "reference: a KL price is set but"),
        (
            {"settings": {"kl_in_rewrd": 0.1}},
            "settings.kl_in_rewrd: unknown field; did you mean 'kl_in_reward'?",
        ),
        ({"steps": 0}, "steps: "),
        ({"rollout": 0}, "rollout: "),
        ({"algorithm": "pop"}, "algorithm 'pop' is unknown; did you mean 'ppo'?"),
        ({"algorithm": "./none.py"}, "none.py: no such file"),
        ({"reward": {"weights": {"enviroment": 1}}}, "reward.weights"),
        ({"feedback": {"people": [{"mistake": 2}]}}, "people.mistake: 2"),
    ],
)
def test_fields_that_disagree(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlauditError) as caught:
        run_config.from_mapping({"environment": "CartPole-v1"} | change, "a.yaml")
    assert str(caught.value).startswith("a.yaml: ") and sentence in str(caught.value), caught.value
