import numpy as np
import pytest

from retina_nb.loaders.shared_runs import Runs, best_sizes, shared_runs


def test_a_run_goes_on_as_long_as_the_same_timelines_show_the_same():
    one, other = np.arange(100), np.concatenate([np.arange(50, 100), np.arange(50)])
    counts = [np.where(np.arange(100) >= 5, 0, -1)] * 2
    runs = shared_runs([one, other], counts, lag=5)
    found = {tuple(start): int(length) for start, length in zip(runs.starts, runs.lengths, strict=True)}
    # The second half is shared but for its first bins in `one`, the first half but for its first bins in `other`.
    assert found == {(5, 55): 45, (50, -1): 5, (55, 5): 45, (-1, 50): 5}


def test_a_run_ends_with_its_presentation():
    runs = shared_runs([np.arange(40)], [np.repeat([0, 1], 20)], lag=0)
    assert runs.lengths.tolist() == [20, 20]


def test_something_shown_twice_is_run_twice():
    runs = shared_runs([np.tile(np.arange(30), 2)], [np.zeros(60, dtype=int)], lag=0)
    assert runs.starts.min() == 0
    assert runs.lengths.sum() == 60


@pytest.mark.parametrize(
    ("lengths", "most", "lag", "expected"),
    [
        ([120] * 10 + [30] * 40, 150, 30, (120, 30)),
        ([750, 750, 750], 150, 30, (150, 150)),
        ([116], 30, 4, (29, 29)),
        ([120] * 100 + [110], 150, 30, (120, 120)),
    ],
)
def test_sizes_of_chunks_need_the_fewest_frames(lengths, most, lag, expected):
    assert best_sizes(np.array(lengths), most, lag) == expected


def test_pieces_are_the_longer_size_and_a_rest():
    runs = Runs(np.array([[3, -1], [100, 7]]), np.array([50, 10]))
    pieces, sizes = runs.cut((20, 12))
    assert pieces.starts.tolist() == [[3, -1], [23, -1], [43, -1], [100, 7]]
    assert pieces.lengths.tolist() == [20, 20, 10, 10]
    assert sizes.tolist() == [20, 20, 12, 12]
