from __future__ import annotations

import pytest

from orchestrator.domain.actors import Role
from tests.builders import a_caller


@pytest.mark.parametrize("role", Role)
def test_a_user_sees_the_own_project_and_people_above_see_all(role: Role):
    caller = a_caller(role, project_id="project-1")
    assert caller.may_see("project-1")
    assert caller.may_see("project-2") is caller.sees_all_projects is (role is not Role.USER)
    assert caller.scope == ("project-1" if role is Role.USER else None)


def test_each_role_has_what_the_ones_before_it_have():
    asked = {role: [needed for needed in Role if a_caller(role).has(needed)] for role in Role}
    assert asked == {role: list(Role)[: rank + 1] for rank, role in enumerate(Role)}


@pytest.mark.parametrize("role", Role)
def test_who_acts_as_a_user_sees_the_own_project_alone_and_speaks_with_the_keys_voice(role: Role):
    caller = a_caller(role, project_id="project-1").as_user("user-7")
    assert (caller.role, caller.app_user_id, caller.may_see("project-2")) == (Role.USER, "user-7", False)
    assert caller.speaks_for_the_system is (role is not Role.USER)
    assert caller.as_user(None).speaks_for_the_system is (role is not Role.USER)
