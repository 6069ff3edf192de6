import numpy as np
import pytest

from drivelet import tasks
from drivelet.core.errors import InputError
from drivelet.mining.evidence import Evidence
from drivelet.mining.match import explain, match
from drivelet.mining.query import AllOf, Answers, AnyOf, Measured, parse

FIELDS = tasks.fields()


def test_the_example_reads_as_it_says():
    query = parse("traffic_light.state=yellow and cone.count>=3-5 and speed_mps<1", FIELDS)
    assert query == AllOf(
        (
            Answers("traffic_light.state", ("yellow",)),
            Answers("cone.count", ("3-5", "6-10", ">10")),
            Measured("speed_mps", "<", 1.0),
        )
    )


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("cone.count=some", ("1-2", "3-5", "6-10", ">10")),
        ("cone.count=7", ("6-10",)),
        ("cone.count=>10", (">10",)),
        ("cone.count>6-10", (">10",)),
        ("cone.count<4", ("0", "1-2")),
        ('speed_limit.posted="25 mph"', ("25",)),
        ("speed_limit.posted<=10", ("5", "10")),
        ("not cone.in_path=yes", ("no", "unknown")),
        ("traffic_light.state=red or traffic_light.state=yellow", ("red", "yellow")),
        ("not (traffic_light.state!=off or traffic_light.state=none)", ("off",)),
    ],
)
def test_values_are_answers_coarse_labels_or_an_order(text, answers):
    query = parse(text, FIELDS)
    assert isinstance(query, Answers)
    assert query.answers == answers


def test_not_binds_before_and_before_or():
    query = parse("not standing and t<5 or luma>9", FIELDS)
    assert query == AnyOf(
        (
            AllOf(
                (
                    AnyOf((Measured("speed_mps", "<=", -0.5), Measured("speed_mps", ">=", 0.5))),
                    Measured("t", "<", 5.0),
                )
            ),
            Measured("luma", ">", 9.0),
        )
    )
    assert parse("not turning", FIELDS) == AllOf(
        (Measured("yaw_rate_radps", ">=", -0.15), Measured("yaw_rate_radps", "<=", 0.15))
    )


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", 1, "expected a condition, such as"),
        ("cone.count=3-5 and", 19, "expected a condition"),
        ("cone.cuont=3-5", 1, "did you mean cone.count?"),
        ("night", 1, "nothing is known as 'night'; known: traffic_light.state"),
        ("traffic_light.state=purple", 21, "'purple' is no answer of traffic_light.state; known: red, yellow"),
        ("traffic_light.state<red", 21, "< needs answers that are numbers"),
        ("speed_limit.posted>=none", 21, ">= needs answers that are numbers"),
        ("speed_mps<fast", 11, "speed_mps is compared with a number, which 'fast' is not"),
        ("t<nan", 3, "which 'nan' is not"),
        ("(t<3", 5, "expected `)`"),
        ("t<3)", 4, "expected `and`, `or` or the end"),
        ("t 3", 3, "expected one of = != < <= > >= after t"),
        ("t<", 3, "expected a value after t<"),
        ("t<3 luma<4", 5, "expected `and`, `or` or the end"),
        ("cone.in_path=yes and cone.in_path=no", 1, "no answer of cone.in_path is left"),
    ],
)
def test_a_bad_query_is_refused_at_its_place(text, place, message):
    with pytest.raises(InputError) as caught:
        parse(text, FIELDS)
    assert f"character {place} " in str(caught.value)
    assert message in str(caught.value)


def lamp(*rows):
    spec = FIELDS["traffic_light.state"]
    probs = np.array([[dict(row).get(choice, 0.0) for choice in spec.choices] for row in rows])
    probs[probs.sum(axis=1) == 0] = np.nan
    return {
        spec.name: Evidence(
            choices=spec.choices, labelers=(), votes_FLC=np.zeros((len(rows), 0, len(spec.choices))), probs_FC=probs,
            stability_F=np.ones(len(rows)), reasons=[""] * len(rows),
        )
    }  # fmt: skip


def test_frames_are_scored_by_products_and_what_is_unknown_never_fits():
    evidence = lamp({"red": 0.7, "yellow": 0.3}, {"red": 0.2, "green": 0.8}, {})
    channels = {"speed_mps": np.array([0.0, 9.0, np.nan]), "t": np.array([0.0, 1.0, 2.0])}

    def scores(text):
        return match(parse(text, FIELDS), evidence=evidence, channels=channels).tolist()

    assert scores("traffic_light.state=red") == [0.7, 0.2, 0.0]
    assert scores("traffic_light.state!=red") == pytest.approx([0.3, 0.8, 0.0])
    assert scores("traffic_light.state=red and standing") == [0.7, 0.0, 0.0]
    assert scores("traffic_light.state=red or traffic_light.state=yellow") == [1.0, 0.2, 0.0]
    assert scores("traffic_light.state=red or moving") == pytest.approx([0.7, 1.0, 0.0])
    assert scores("not moving") == [1.0, 0.0, 0.0]
    query = parse("traffic_light.state=red and standing", FIELDS)
    assert explain(query, 0, evidence, channels) == "traffic_light.state=red 0.70, speed_mps 0"


def test_a_car_that_reverses_moves():
    channels = {"speed_mps": np.array([-3.0, -0.1, 0.1, 3.0])}
    found = {
        word: match(parse(word, FIELDS), evidence={}, channels=channels).tolist() for word in ("standing", "moving")
    }
    assert found == {"standing": [0.0, 1.0, 1.0, 0.0], "moving": [1.0, 0.0, 0.0, 1.0]}


def test_what_no_frame_has_is_named():
    evidence, channels = lamp({"red": 1.0}), {"speed_mps": np.array([np.nan])}
    with pytest.raises(InputError, match="no frame here has speed_mps; add an ingested drive"):
        match(parse("standing", FIELDS), evidence=evidence, channels=channels)
    with pytest.raises(InputError, match=r"no frame here is labelled for cone\.count; run `drivelet label` first"):
        match(parse("cone.count=0", FIELDS), evidence=evidence, channels=channels)
