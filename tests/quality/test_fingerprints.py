"""Long and lazy movies are looked at in parts."""

from dataclasses import replace

import numpy as np
import pytest
from faults import found

import retina_nb as rnb
from retina_nb import Movie


def test_a_long_movie_is_looked_at_in_parts(first):
    whole, part = rnb.audit({"a": first}), rnb.audit({"a": first}, max_frames=6500)
    assert part.problems == ()
    assert part.sessions["latency"].item() == pytest.approx(whole.sessions["latency"].item(), abs=0.02)
    (untold,) = found(rnb.audit({"a": first}, max_frames=1000), "timing", severity="look at it")
    assert "too few training bins" in untold.message


def test_frames_that_are_made_where_they_are_looked_at_are_never_all_in_memory(first):
    class Watched:
        def __init__(self, frames):
            self.shape, self.most, self.frames = frames.shape, 0, frames

        def __getitem__(self, index):
            self.most = max(self.most, np.size(index[1]))
            return self.frames[index]

    lazy = Watched(first.movie.frames.repeat(3, axis=3).repeat(3, axis=2))
    rnb.audit({"a": replace(first, movie=Movie(lazy))})
    assert lazy.most * np.prod(first.movie.frame_shape) * 9 <= 2**22
