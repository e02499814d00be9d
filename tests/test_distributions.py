import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tune_mixup.distributions import canonical, choices, contains, ends, in_words, read_range, value_at

CHOICES = CategoricalDistribution(("a", 1, None))


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (CHOICES, ["a", 1, None]),
        (IntDistribution(2, 8, step=3), [2, 5, 8]),
        (IntDistribution(1, 4, log=True), [1, 2, 3, 4]),
        (FloatDistribution(0.0, 0.75, step=0.25), [0.0, 0.25, 0.5, 0.75]),
    ],
)
def test_a_finite_range_is_its_values(distribution, values):
    assert choices(distribution) == values
    assert all(contains(distribution, value) for value in values)


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (CHOICES, ["a", 1, None]),
        (IntDistribution(2, 8, step=3), [2, 5, 8]),
        (FloatDistribution(0, 1, step=0.5), [0, 0.5, 1]),
    ],
)
def test_each_value_of_a_finite_range_has_the_same_share(distribution, values):
    assert [value_at(distribution, third / 3 + place) for third in range(3) for place in (0, 0.3)] == [
        value for value in values for _ in range(2)
    ]


def test_a_continuous_range_has_ends_and_no_list_of_values():
    assert choices(FloatDistribution(0.5, 2)) is None
    assert ends(FloatDistribution(0.5, 2)) == [0.5, 2] and ends(IntDistribution(1, 7)) == [1, 7]
    assert ends(CHOICES) == ["a", 1, None]


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        (FloatDistribution(0, 1), float("nan")), (FloatDistribution(0, 1), float("inf")),
        (IntDistribution(0, 9), float("inf")), (IntDistribution(0, 9), float("nan")), (IntDistribution(0, 9), False),
        (IntDistribution(0, 10**12, step=10**10), 10**10 + 1), (FloatDistribution(0, 1, step=0.25), 0.3),
        (FloatDistribution(0.1, 1, log=True), 0), (FloatDistribution(0.1, 1, log=True), -1), (CHOICES, "b"),
        (FloatDistribution(0, 1), None),
    ],
)  # fmt: skip
def test_what_lies_outside(distribution, value):
    assert not contains(distribution, value)


@given(position=st.floats(0, 1, exclude_max=True))
def test_values_lie_inside_and_on_their_own_scale(position):
    assert value_at(FloatDistribution(-1, 3), position) == pytest.approx(-1 + 4 * position)
    assert value_at(FloatDistribution(0.01, 1, log=True), position) == pytest.approx(10 ** (2 * position - 2))
    for distribution in (IntDistribution(1, 1000, log=True), IntDistribution(-3, 9, step=4), CHOICES):
        assert contains(distribution, value_at(distribution, position))


def test_a_log_scale_of_whole_numbers_gives_each_its_share():
    """The share of k is the logarithm of (k + 1/2) / (k - 1/2): its place on the scale, rounded to whole numbers."""
    found = [value_at(IntDistribution(1, 4, log=True), (index + 0.5) / 10_000) for index in range(10_000)]
    shares = [found.count(value) / 10_000 for value in (1, 2, 3, 4)]
    assert shares == pytest.approx([0.5, 0.2325, 0.1531, 0.1144], abs=2e-4)


@pytest.mark.parametrize(
    ("low", "high", "step", "values"),
    [
        (0.1, 0.5, 0.1, [0.1, 0.2, 0.3, 0.4, 0.5]),
        (0.0, 0.3, 0.1, [0.0, 0.1, 0.2, 0.3]),
        (1.1, 1.7, 0.2, [1.1, 1.3, 1.5, 1.7]),
        (-0.2, 0.1, 0.1, [-0.2, -0.1, 0.0, 0.1]),
        (1e-5, 4e-5, 1e-5, [1e-5, 2e-5, 3e-5, 4e-5]),
    ],
)
def test_steps_are_the_numbers_that_one_would_write(low, high, step, values):
    """In floats 0.1 + 2 * 0.1 is 0.30000000000000004, which is the same step."""
    distribution = FloatDistribution(low, high, step=step)
    assert choices(distribution) == values and ends(distribution) == [values[0], values[-1]]
    for index, value in enumerate(values):
        reckoned = low + index * step
        assert contains(distribution, reckoned) and canonical(distribution, reckoned) == value
        assert value_at(distribution, (index + 0.5) / len(values)) == value
    assert not contains(distribution, low - step) and not contains(distribution, high + step)
    assert not contains(distribution, low + step / 2)


@pytest.mark.parametrize(
    ("distribution", "value", "expected"),
    [
        (FloatDistribution(0, 2), 1, 1.0),
        (IntDistribution(0, 2), 1.0, 1),
        (CategoricalDistribution((1.0, True)), 1, 1.0),
        (CategoricalDistribution((2, 1.0)), 1, 1.0),
        (CHOICES, "elsewhere", "elsewhere"),
        (FloatDistribution(0, 2), 3, 3),
    ],
)
def test_each_value_has_one_form(distribution, value, expected):
    found = canonical(distribution, value)
    assert found == expected and type(found) is type(expected)


def test_true_is_in_no_range_of_numbers():
    assert not contains(CategoricalDistribution((1, 2)), True) and not contains(IntDistribution(0, 2), True)
    assert not contains(CategoricalDistribution((True, False)), 1)


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ((0.1, 1.0), "write FloatDistribution(0.1, 1.0), or CategoricalDistribution((0.1, 1.0)) for these two alone"),
        ((1, 8), "write IntDistribution(1, 8), or CategoricalDistribution((1, 8)) for these two alone"),
        ([0.1, 0.5, 1.0], "write CategoricalDistribution((0.1, 0.5, 1.0))"),
        (("a",), "write CategoricalDistribution(('a',))"),
        (0.5, "what is the same for all trials stands in `fixed`"),
        ("x", "write FloatDistribution(0.1, 1.0), IntDistribution(1, 8) or CategoricalDistribution(('a', 'b'))"),
    ],
)
def test_what_is_no_distribution_is_refused_with_the_one_to_write(given, instead):
    with pytest.raises(ValueError) as caught:
        read_range(given)
    assert str(caught.value) == f"got {given!r}, must be a distribution of Optuna; {instead}"


def test_the_domains_of_ray_tune_are_refused_with_the_distribution_to_write():
    from ray import tune

    for domain, instead in (
        (tune.uniform(0, 1), "FloatDistribution(0.0, 1.0)"),
        (tune.loguniform(1e-3, 1), "FloatDistribution(0.001, 1.0, log=True)"),
        (tune.randint(1, 9), "IntDistribution(1, 8)"),  # 9 is left out there, and taken in by Optuna
        (tune.choice(["a", "b"]), "CategoricalDistribution(('a', 'b'))"),
    ):
        with pytest.raises(ValueError) as caught:
            read_range(domain)
        assert str(caught.value).endswith(f"; write {instead}")


@pytest.mark.parametrize(
    "distribution, words",
    [
        (FloatDistribution(0.1, 4, log=True), "0.1 to 4, log scale"),
        (FloatDistribution(0, 1, step=0.25), "0 to 1 in steps of 0.25"),
        (IntDistribution(5, 50, step=5), "5 to 50 in steps of 5, whole numbers"),
        (IntDistribution(1, 64, log=True), "1 to 64, log scale, whole numbers"),
        (CategoricalDistribution((1, "a", None)), "one of 1, a, None"),
    ],
)
def test_ranges_in_words(distribution, words):
    assert in_words(distribution) == words
