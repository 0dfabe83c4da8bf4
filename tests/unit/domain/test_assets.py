"""System properties of assets: who may set what, and what is left of it."""

from __future__ import annotations

import pytest

from orchestrator.domain.assets import PropertyChange, with_properties

HELD = with_properties(
    {"kept": 1}, [PropertyChange("MATERIAL_IMG", "Yes"), PropertyChange("IS_CONTROLLED", "YES")], by_the_system=True
)


@pytest.mark.parametrize(
    ("change", "by_the_system", "left"),
    [
        (PropertyChange("BACKGROUND_IMG", "Yes"), False, {"MATERIAL_IMG", "IS_CONTROLLED", "BACKGROUND_IMG"}),
        (PropertyChange("MATERIAL_IMG", None), False, {"IS_CONTROLLED"}),
        (PropertyChange("MATERIAL_VIDEO", None), False, {"MATERIAL_IMG", "IS_CONTROLLED"}),
        (PropertyChange("IS_CONTROLLED", None), False, {"MATERIAL_IMG", "IS_CONTROLLED"}),
        (PropertyChange("IS_CONTROLLED", None), True, {"MATERIAL_IMG"}),
        (PropertyChange("DH_ID", "1"), False, {"MATERIAL_IMG", "IS_CONTROLLED"}),
        (PropertyChange("DH_ID", "1"), True, {"MATERIAL_IMG", "IS_CONTROLLED", "DH_ID"}),
    ],
)
def test_owners_say_what_a_picture_is_for_and_the_system_says_the_rest(
    change: PropertyChange, left: set[str], *, by_the_system: bool
):
    after = with_properties(HELD, [change], by_the_system=by_the_system)
    assert {each["key"] for each in after["system_properties"]} == left  # type: ignore[attr-defined]
    assert {word.partition(":")[0] for word in after["property_words"]} == left  # type: ignore[attr-defined]
    assert after["kept"] == 1


def test_the_last_value_of_a_property_is_the_one_that_is_found():
    after = with_properties(HELD, [PropertyChange("MATERIAL_IMG", "No")], by_the_system=False)
    assert after["property_words"] == ["MATERIAL_IMG:No", "IS_CONTROLLED:YES"]
