from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.media import MediaKind
from orchestrator.domain.model import FileKind
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.stages import STAGE_BY_NAME
from orchestrator.embedded.trainer.__main__ import STAGES
from orchestrator.settings import BadSettings, load_profiles
from orchestrator.settings.profiles import SHIPPED, load_profile

EVERY_STAGE = SHIPPED / "every_stage"

SMALL = """
name = "voice"
title = "Voice"
[materials.audio]
judged_as = "audio"
required = true
[stages.training]
command = ["train"]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "voice.toml"
    path.write_text(text)
    return path


def test_the_shipped_profiles_are_these():
    assert sorted(load_profiles()) == ["avatar", "ims", "metastudio"]
    assert {path.stem for path in SHIPPED.glob("*.toml")} == set(load_profiles())


def test_metastudio_takes_exactly_the_documented_videos():
    profile = load_profiles()["metastudio"]
    video = profile.material(FileKind.TRAINING_VIDEO)
    assert video is not None
    assert video.rules.formats(MediaKind.VIDEO) == ("mp4",)
    assert set(video.rules.sizes) == {(1920, 1080), (1080, 1920), (3840, 2160), (2160, 3840)}
    assert (video.rules.min_duration_s, video.rules.max_duration_s, video.rules.tolerance_s) == (180, 600, 0)
    assert profile.switches == {"review"}


def test_named_accounts_need_no_papers():
    profile = load_profiles()["metastudio"]
    held = frozenset({FileKind.TRAINING_VIDEO})
    papers = {FileKind.ID_CARD_FRONT, FileKind.ID_CARD_BACK, FileKind.AUTHORIZATION_LETTER}
    assert set(profile.lacking(profile.all_switches, {}, held)) == papers
    assert profile.lacking(profile.all_switches | {"named_account"}, {}, held) == {}


def test_ims_is_mended_by_its_owner_without_review():
    profile = load_profiles()["ims"]
    video, portrait = profile.material(FileKind.TRAINING_VIDEO), profile.material(FileKind.PORTRAIT)
    assert video is not None
    assert portrait is not None
    assert video.rules.formats(MediaKind.VIDEO) == ("mp4", "mov", "webm")
    assert set(video.rules.sizes) == {(1920, 1080), (1080, 1920)}
    assert (video.rules.min_duration_s, video.rules.max_duration_s) == (300, 900)
    assert video.alpha_from == "transparent"
    assert portrait.required
    assert portrait.rules.square
    assert profile.switches == {"resubmit", "keep_success"}
    assert profile.name_limit == 7


def test_a_shipped_folder_turns_every_station_on_and_changes_nothing_else():
    plain, full = load_profiles()["metastudio"], load_profiles([EVERY_STAGE])["metastudio"]
    assert set(full.stages) == set(STAGE_BY_NAME)
    assert full.switches == {"review", "mask", "admin_confirm"}
    assert replace(full, switches=plain.switches, stages=plain.stages) == plain
    assert {name: full.stages[name] for name in plain.stages} == plain.stages


def test_the_example_trainer_knows_the_stages_it_is_given():
    for profile in (*load_profiles().values(), load_profile(EVERY_STAGE / "metastudio.toml")):
        for stage, how in profile.stages.items():
            assert how.command[:3] == ("{python}", "-m", "orchestrator.embedded.trainer"), stage
            assert how.command[3] in STAGES


def test_a_team_adds_a_kind_of_job_with_a_file(tmp_path: Path):
    written(
        tmp_path,
        'deadlines = { manual_verifying = "2d" }\n'
        + SMALL.replace("[materials.audio]", '[retry]\nfirst_delay = "5s"\nlimits = { code = 3 }\n[materials.audio]')
        + '[materials.cover]\njudged_as = "image"\nmax_bytes = "5MiB"\n',
    )
    profiles = load_profiles([tmp_path])
    voice = profiles["voice"]
    assert "metastudio" in profiles
    assert voice.retry.first_delay.total_seconds() == 5
    assert (voice.retry.limits[FailureClass.CODE], voice.retry.limits[FailureClass.LOST]) == (3, 5)
    assert [(state.value, wait.days) for state, wait in voice.deadlines.items()] == [("manual_verifying", 2)]
    assert voice.material(FileKind.COVER).rules.max_bytes == 5 << 20  # type: ignore[union-attr]  # it is there


def test_a_profile_of_the_same_name_replaces_the_shipped_one(tmp_path: Path):
    written(tmp_path, SMALL.replace('"voice"', '"avatar"'))
    assert load_profiles([tmp_path])["avatar"].title == "Voice"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title", "tilte", "tilte: there is no such key; did you mean title?"),
        ("required", "requierd", "materials.audio.requierd: there is no such key; did you mean required?"),
        ("[materials.audio]", "[materials.audoi]", "audoi: there is no such key; did you mean audio?"),
        ('"audio"', '"sound"', "materials.audio.judged_as"),
        ("[stages.training]", "[stages.trainig]", "no such stages: ['trainig']"),
        ('["train"]', "[]", "stages.training.command"),
        ("command", "comand", "stages.training.comand: there is no such key; did you mean command?"),
        ('title = "Voice"', 'title = "Voice"\nswitches = ["reveiw"]', "no such switches: ['reveiw']"),
        ("required = true", 'required = true\nwaived_by = ["nobody"]', "there is no switch 'nobody'"),
        ("required = true", 'sizes = ["big"]', "'big' is no picture size"),
        ("required = true", "min_duration = 5", "no duration"),
        ('name = "voice"', 'name = "A voice"', "name: "),
        ("[materials.audio]", "[materials", "is no TOML"),
        ("[stages.training]", "[stages.compile]", "the stage training is missing"),
    ],
)
def test_mistakes_are_named_with_what_was_meant(tmp_path: Path, old: str, new: str, said: str):
    path = written(tmp_path, SMALL.replace(old, new, 1))
    with pytest.raises(BadSettings) as caught:
        load_profile(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_folder_that_is_not_there_is_a_mistake(tmp_path: Path):
    with pytest.raises(BadSettings, match="no such folder"):
        load_profiles([tmp_path / "nowhere"])
