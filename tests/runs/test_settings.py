"""Settings: every config survives YAML, and every mistake is one sentence that names its field."""

import copy
import math
import warnings
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from plaudit.algorithms.imitation import bc
from plaudit.algorithms.on_policy import ppo, reinforce
from plaudit.annotators.simulated import SimulatedPerson
from plaudit.declared import Count, NonNegative, Probability, between
from plaudit.environments.control.make import EnvironmentConfig
from plaudit.errors import PlauditError, Renamed
from plaudit.likelihoods import bradley_terry
from plaudit.maths.advantage import GAE, MonteCarlo
from plaudit.models.actor_critic import PolicyConfig
from plaudit.models.reward_ensemble import RewardConfig
from plaudit.pipeline.control import config as run_config
from plaudit.pipeline.control.config import FeedbackSettings, RewardSettings, RunConfig
from plaudit.rewards.learned import fit as reward_fit
from plaudit.runs.old_names import CONFIG_KEYS
from plaudit.runs.settings import _note, build, dump, kind_of, load_yaml, meanings, renamed, validate
from plaudit.stages.pretrain import CloneConfig
from plaudit.stages.reward import LearnRewardConfig
from plaudit.trainers import on_policy, supervised

SCHEMAS = [
    EnvironmentConfig, PolicyConfig, RewardConfig, RewardSettings, FeedbackSettings, CloneConfig, LearnRewardConfig,
    on_policy.Config, reward_fit.Config, supervised.Config, bradley_terry.Config, bc.Config, ppo.Config,
    reinforce.Config, RunConfig,
]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "))
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
    if schema in PLAIN:
        return PLAIN[schema]
    origin, members = get_origin(schema), get_args(schema)
    if origin is Annotated:
        return within(*members)
    if is_dataclass(schema):
        hints = get_type_hints(schema, include_extras=True)
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


def within(kind: type, range_: Meta) -> st.SearchStrategy[Any]:
    """Any number in a range."""
    if kind is int:
        return st.integers(range_.ge, range_.le)
    low, high = (
        (range_.gt if range_.ge is None else range_.ge),
        (range_.lt if range_.le is None else range_.le),
    )
    ends = {"exclude_min": range_.gt is not None, "exclude_max": range_.lt is not None}
    return st.floats(low, high, allow_nan=False, **ends)


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
    hints = get_type_hints(schema, include_extras=True)
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
    assert config.environment == EnvironmentConfig("Pendulum-v1")
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
        (
            {"feedback": {"people": [{"mistake": 2}]}},
            "feedback.people[0].mistake: must be between 0 and 1, not 2.0; change this field",
        ),
    ],
)
def test_fields_that_disagree(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlauditError) as caught:
        run_config.from_mapping({"environment": "CartPole-v1"} | change, "a.yaml")
    assert str(caught.value).startswith("a.yaml: ") and sentence in str(caught.value), caught.value


@dataclass(frozen=True)
class Ranged:
    steps: Count = 1
    rate: NonNegative | None = None
    share: Annotated[float, between(0.01, 0.9)] = 0.5
    inner: tuple[Inner, ...] = ()
    widths: tuple[Count, ...] | None = None
    weights: dict[str, Probability] = field(default_factory=dict)
    advantage: GAE | MonteCarlo = GAE()
    settings: Any = None


OUT_OF_RANGE = [
    ({"steps": 0}, "steps: must be at least 1, not 0; change this field"),
    ({"steps": "-1e3"}, "steps: must be at least 1, not -1000; change this field"),
    ({"rate": -0.5}, "rate: must be at least 0, not -0.5; change this field"),
    ({"rate": math.inf}, "rate: must be at least 0, not inf; change this field"),
    ({"rate": math.nan}, "rate: must be at least 0, not nan; change this field"),
    ({"share": 1.0}, "share: must be between 0.01 and 0.9, not 1.0; change this field"),
    ({"widths": [3, 0]}, "widths[1]: must be at least 1, not 0; change this field"),
    ({"weights": {"a": 0.5, "b": 2.0}}, "weights.b: must be between 0 and 1, not 2.0; change this field"),
    ({"advantage": {"kind": "gae", "lam": 2.0}}, "advantage.lam: must be between 0 and 1, not 2.0; change this field"),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "sentence"), OUT_OF_RANGE)
def test_a_number_out_of_its_range(tree: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlauditError) as caught:
        build(Ranged, tree, "")
    assert str(caught.value) == sentence
    with pytest.raises(PlauditError) as caught:
        build(Ranged, tree, "here")
    assert str(caught.value) == f"here.{sentence}"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (Ranged(0), "steps: must be at least 1, not 0"),
        (Ranged(widths=(1, 2, 0)), "widths[2]: must be at least 1, not 0"),
        (Ranged(weights={"a": -1.0}), "weights.a: must be between 0 and 1, not -1.0"),
        (Ranged(advantage=GAE(7.0)), "advantage.lam: must be between 0 and 1, not 7.0"),
        (Ranged(settings=ppo.Config(clip=-1.0)), "settings.clip: must be at least 0, not -1.0"),
    ],
)
def test_a_config_made_in_python_is_checked_when_asked(config: Ranged, sentence: str) -> None:
    with pytest.raises(PlauditError) as caught:
        validate(config)
    assert str(caught.value) == f"{sentence}; change this field"
    with pytest.raises(PlauditError, match="^run.fit."):
        validate(config, "run.fit")
    validate(Ranged(3, 0.0, 0.9, (Inner(),), (1,), {"a": 1.0}, MonteCarlo(), bc.Config()))


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: f"{s.__module__}.{s.__name__}")
def test_every_field_says_what_it_is(schema: Any) -> None:
    assert list(meanings(schema)) == [one.name for one in fields(schema)]


def test_texts_where_numbers_and_truths_are_wanted() -> None:
    """A flag, and YAML for 1e-3, give texts."""
    tree = {"needed": "3", "number": "1e-3", "count": "1e5", "flag": "True", "names": {"a": "-inf"}}
    built = build(Outer, tree, "")
    assert built == Outer("3", 0.001, 100_000, True, names={"a": -math.inf}) and type(built.count) is int
    assert build(Outer, {"needed": "true", "flag": "off"}, "").flag is False
    assert build(int, str(10**30), "x") == 10**30  # no digit is lost on the way
    for value in (1, 0, "1", ""):
        with pytest.raises(PlauditError, match="flag: .* is not true or false"):
            build(Outer, {"needed": "x", "flag": value}, "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("steps: 1\nsettings: {}\nsteps: 2\n", "line 3: steps is in line 1 already; keep one of them"),
        ("a: {b: 1, b: 1}\n", "line 1: b is in line 1 already"),
        ("a:\n  - b: 1\n    c: 2\n    b: 3\n", "line 4: b is in line 2 already"),
        ("'a': 1\na: 2\n", "line 2: a is in line 1 already"),
    ],
)
def test_a_key_that_stands_twice(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(PlauditError) as caught:
        load_yaml(file)
    assert str(caught.value).startswith(f"{file}, {sentence}")


def test_keys_that_look_alike_but_are_not(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("x: &x {b: 1}\na: {b: 1}\nc: {b: 2}\ny: {<<: *x, b: 2}\n'1': 1\n1: 1\nz: *x\n")
    assert load_yaml(file)["y"] == {"b": 2}


TABLE = {
    "price": "kl.coef",
    "feedback.people.slips": "feedback.people.mistake",
    "trainer.piece": "trainer.part",
}


@pytest.mark.parametrize(
    ("before", "after", "notes"),
    [
        ({}, {}, []),
        ({"price": 1, "steps": 2}, {"kl": {"coef": 1}, "steps": 2}, ["price is called kl.coef"]),
        ({"price": 1, "kl": {"target": 3}}, {"kl": {"target": 3, "coef": 1}}, ["price is called kl.coef"]),
        (
            {"feedback": {"people": [{"slips": 1}, {"beta": 2}, {"slips": 3}]}},
            {"feedback": {"people": [{"mistake": 1}, {"beta": 2}, {"mistake": 3}]}},
            ["feedback.people.slips is called feedback.people.mistake"],
        ),
        ({"trainer": {"piece": None}}, {"trainer": {"part": None}}, ["trainer.piece is called trainer.part"]),
        ({"trainer": "piece", "feedback": None}, {"trainer": "piece", "feedback": None}, []),
        ({"trainer": {"part": 1}}, {"trainer": {"part": 1}}, []),
    ],
)  # fmt: skip
def test_old_keys_move_with_a_note(before: Any, after: Any, notes: list[str]) -> None:
    kept = copy.deepcopy(before)
    for expected in ([f"config key {note} now" for note in notes], []):  # once per process
        if expected == []:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert renamed(before, TABLE) == after
            continue
        with pytest.warns(Renamed) as caught:
            assert renamed(before, TABLE) == after
        assert [str(one.message) for one in caught] == expected
    assert before == kept


@pytest.fixture(autouse=True)
def nothing_noted() -> None:
    _note.cache_clear()


@pytest.mark.parametrize(
    "tree",
    [{"price": 1, "kl": {"coef": 1}}, {"trainer": {"piece": 1, "part": 1}}, {"price": 1, "kl": 3}],
)
def test_an_old_key_beside_its_new_one(tree: dict[str, Any]) -> None:
    with pytest.raises(PlauditError, match="is called .* now, and both are given; leave .* out"):
        renamed(tree, TABLE)


def test_the_table_of_old_keys_names_no_key_twice() -> None:
    assert not set(CONFIG_KEYS) & set(CONFIG_KEYS.values())
