"""Recipes: unknown names and empty domains are the user's mistakes; promises fail where labels do not confirm."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from drivelet.core.errors import InputError
from drivelet.synth import longtail
from drivelet.synth.domain import DomainConfig, world
from drivelet.synth.facts import finish
from drivelet.synth.longtail import RECIPES, find_recipe, sample_recipe


def measured(scene: dict[str, Any], **one: Any) -> dict[str, Any]:
    whole = {"pixels": 400, "box": [10, 10, 30, 30], "amodal": [10.0, 10.0, 30.0, 30.0], "area": 400.0}
    return {str(item["id"]): {**whole, **one} for item in scene["objects"]}


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"recipe 'night_blue' is none of .*far_red, .*night_red_occluded"):
        find_recipe("night_blue")


def test_a_domain_without_such_scenes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(longtail, "ATTEMPTS", 4)
    with pytest.raises(InputError, match="recipe ego_lane_closed: 4 scenes of domain world hold none"):
        sample_recipe(0, 0, "ego_lane_closed", domain=replace(world(), roads={"roundabout": 1.0}))


def test_recipes_change_fields_that_the_domain_has() -> None:
    names = {field.name for field in fields(DomainConfig)}
    for name, recipe in RECIPES.items():
        assert recipe.changes.keys() <= names, name
        assert recipe.how in ("placement", "rejection")


@pytest.mark.parametrize("name", RECIPES)
def test_no_promise_holds_where_nothing_is_seen(name: str) -> None:
    scene = sample_recipe(1, 0, name)
    unseen = finish(scene, measured(scene, pixels=0, box=None))
    assert not RECIPES[name].promise(unseen)


@pytest.mark.parametrize("name", ["far_red", "rain_night_cones", "roundabout_yield", "school_zone", "lights_off"])
def test_a_promise_holds_where_all_is_seen(name: str) -> None:
    scene = sample_recipe(1, 1, name)
    assert RECIPES[name].promise(finish(scene, measured(scene)))


def test_an_occluded_light_shows_a_part_of_itself() -> None:
    scene = sample_recipe(2, 0, "night_red_occluded")
    hidden = scene["setting"]["occluded"]
    labels = measured(scene)
    assert not RECIPES["night_red_occluded"].promise(finish(scene, labels)), "all of it is seen"
    own = {str(i["id"]) for i in scene["objects"] if hidden in (i["id"], i.get("parent"))}
    labels |= {key: {**labels[key], "box": [10, 10, 20, 30]} for key in own}
    assert RECIPES["night_red_occluded"].promise(finish(scene, labels))


def test_the_page_lists_every_recipe() -> None:
    page = (Path(__file__).parents[2] / "docs" / "world.md").read_text(encoding="utf-8")
    rows = [f"| `{name}` | {recipe.text} | {recipe.how} |" for name, recipe in RECIPES.items()]
    assert "\n".join(rows) in page
