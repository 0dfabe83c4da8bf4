import pytest

from orchestrator.cli import watch
from orchestrator.cli.failures import CliError, Exit


def a_job(state: str, version: int = 0, progress: float | None = None) -> dict:
    run = {"id": "r", "stage": "training", "attempt": 1, "outcome": "running", "progress": progress, "message": ""}
    return {"id": "j", "state": state, "version": version, "message": "", "run_id": "r", "runs": [run]}


class Answers:
    """An API that says these things, one after the other; the last one for ever."""

    def __init__(self, *answers):
        self.left = list(answers)
        self.now_s = 0.0

    def get(self, _path):
        answer = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds):
        self.now_s += seconds

    def follow(self, **options):
        return watch.follow(self, "j", sleep=self.sleep, clock=lambda: self.now_s, **options)


def gone() -> CliError:
    return CliError("no answer", Exit.UNREACHABLE)


def test_every_change_is_told_once():
    same = a_job("training", 3, 0.5)
    answers = Answers(a_job("auto_verifying", 1), same, same, same, a_job("training", 3, 0.6), a_job("job_success", 4))
    told = answers.follow()
    assert [next(told)["state"] for _ in range(4)] == ["auto_verifying", "training", "training", "job_success"]


def test_an_api_that_is_restarted_is_waited_for():
    told = Answers(a_job("training"), gone(), gone(), a_job("job_success", 1)).follow()
    assert [next(told)["state"] for _ in range(2)] == ["training", "job_success"]


@pytest.mark.parametrize("before", [[], [a_job("training")]], ids=["never there", "gone for good"])
def test_an_api_that_is_not_there_is_not_waited_for_without_end(before):
    told = Answers(*before, gone()).follow()
    for _ in before:
        next(told)
    with pytest.raises(CliError, match="no answer"):
        next(told)


def test_the_time_is_over_when_it_is_over():
    told = Answers(a_job("training")).follow(timeout_s=30)
    next(told)
    with pytest.raises(CliError, match="still training after 30 s") as late:
        next(told)
    assert late.value.exit_code is Exit.TIMEOUT


def test_the_time_is_over_while_the_api_is_away_too():
    told = Answers(a_job("training"), gone()).follow(timeout_s=5)
    next(told)
    with pytest.raises(CliError, match="still training after 5 s") as late:
        next(told)
    assert late.value.exit_code is Exit.TIMEOUT


def test_a_sentence_says_how_far_the_training_is():
    assert watch.sentence(a_job("training", progress=0.25)) == "training: a trainer works on it [training 25%]"
