"""A PCA basis by subspace iteration: small epochs over batches, so it can report, stop and go on anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orchestrator.embedded.trainer.pictures import Frames, Pixels

_BATCH: Final = 32
_FLAT: Final = 1e-6  # variance of a byte's value below which there is nothing to explain
_SEED: Final = 61


@dataclass(frozen=True, slots=True)
class Model:
    """Mean frame and orthonormal directions: a frame is `mean + weights @ basis`."""

    mean: Pixels  # (pixels,)
    basis: Pixels  # (components, pixels)
    shape: tuple[int, int, int]

    def reconstruct(self, frames: Frames) -> Pixels:
        """Frames after the way through the model, as floats of 0..255. Raises ValueError for another frame size."""
        if frames.shape[1:] != self.shape:
            raise ValueError(f"the model is of frames {self.shape}, not {frames.shape[1:]}")
        centred = frames.reshape(len(frames), -1).astype(np.float32) - self.mean
        returned = (centred @ self.basis.T) @ self.basis + self.mean
        return returned.astype(np.float32, copy=False).reshape(frames.shape)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        return {"mean": self.mean, "basis": self.basis, "shape": np.array(self.shape)}

    @classmethod
    def of(cls, arrays: dict[str, NDArray[np.generic]]) -> Model:
        """Raises ValueError for arrays that are no model."""
        try:
            shape = tuple(int(value) for value in arrays["shape"])
            mean, basis = arrays["mean"].astype(np.float32), arrays["basis"].astype(np.float32)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no model: {error}") from error
        height, width, colours = shape
        if mean.shape != (height * width * colours,) or basis.shape[1:] != mean.shape:
            raise ValueError("no model: its arrays do not fit each other")
        if not (np.isfinite(mean).all() and np.isfinite(basis).all()):
            raise ValueError("the model holds values that are no numbers")
        return cls(mean, basis, (height, width, colours))


class Learner:
    """Subspace iteration on the covariance of the frames; `basis` is what has been learned so far."""

    def __init__(self, frames: Frames, components: int) -> None:
        self._frames = frames.reshape(len(frames), -1)
        self._shape = frames.shape[1:]
        pixels = self._frames.shape[1]
        self.components = max(1, min(components, len(frames) - 1, pixels))
        self._mean = self._frames.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._total = sum(float((batch**2).sum(dtype=np.float64)) for batch in self._batches())
        start = np.random.default_rng(_SEED).standard_normal((pixels, self.components)).astype(np.float32)
        self.basis: Pixels = np.linalg.qr(start)[0]

    def epoch(self) -> float:
        """One pass over all frames; gives the part of the variance that the basis explains, 0..1."""
        if self.is_flat:
            return 1.0
        image = np.zeros_like(self.basis)
        explained = 0.0
        for batch in self._batches():
            weights = batch @ self.basis
            explained += float((weights**2).sum(dtype=np.float64))
            image += batch.T @ weights
        self.basis = np.linalg.qr(image)[0]
        return min(1.0, explained / self._total)

    @property
    def is_flat(self) -> bool:
        """All frames are alike: the mean is the whole model, and no direction means anything."""
        return self._total < _FLAT * self._frames.size

    def model(self) -> Model:
        height, width, colours = self._shape
        return Model(self._mean, np.ascontiguousarray(self.basis.T), (height, width, colours))

    def _batches(self) -> Iterator[Pixels]:
        for begin in range(0, len(self._frames), _BATCH):
            yield self._frames[begin : begin + _BATCH].astype(np.float32) - self._mean
