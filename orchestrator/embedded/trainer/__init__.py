"""The example trainer: learns a small picture model of the person in the training video, with numpy alone.

    {python} -m orchestrator.embedded.trainer STAGE

It keeps to the directory contract of `orchestrator/adapters/trainers/README.md` and knows nothing else of this
project, so it can be read as the pattern of a team's own trainer.
"""
