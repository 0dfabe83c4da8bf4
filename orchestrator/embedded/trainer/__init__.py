"""The example trainer: learns a small picture model of the person in the training video, with numpy alone.

    {python} -m orchestrator.embedded.trainer STAGE

It keeps to the directory contract of `orchestrator/adapters/trainers/README.md` and knows nothing else of this
project, so it can be read as the pattern of a team's own trainer.
"""

import os

# Its matrices are so thin that the threads of a BLAS only wait for each other: measured, twice the time on two idle
# cores and ten times on busy ones. Here, because numpy reads it when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
