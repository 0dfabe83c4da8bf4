"""Training backends: each one implements `orchestrator.ports.trainer.TrainerBackend`."""
