import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb


@pytest.fixture(scope="module")
def twin():
    return rnb.build_twin("hoefling_2024_low_res", {"a": small_recording()}, overrides=TINY).eval()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 20, 7, 9), r"must be \(batch, channel, time, height, width\)"),
        ((1, 3, 20, 7, 9), r"\(2, 7, 9\), this one has \(3, 7, 9\)"),
        ((1, 2, 20, 9, 7), r"\(2, 7, 9\), this one has \(2, 9, 7\)"),
        ((1, 2, 6, 7, 9), "more than 6 bins of stimulus, this one has 6"),
    ],
)
def test_a_stimulus_that_does_not_fit_is_refused_in_a_sentence(twin, shape, message):
    with pytest.raises(rnb.UserError, match=message):
        twin(torch.zeros(shape))


def test_an_unknown_session_lists_the_known(twin):
    with pytest.raises(rnb.UserError, match="known are a"):
        twin(torch.zeros(1, 2, 20, 7, 9), "b")


def test_predictions_do_not_depend_on_the_rest_of_the_batch_or_the_chunk(twin):
    stimulus = torch.randn(3, 2, 30, 7, 9)
    whole = twin(stimulus)
    torch.testing.assert_close(twin(stimulus[1:2])[0], whole[1])
    torch.testing.assert_close(twin(stimulus[:, :, 10:]), whole[:, 10:])
