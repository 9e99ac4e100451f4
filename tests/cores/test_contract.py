"""What every core promises, checked on a small one of every kind."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cores.instances import NAMES, STACK, STIMULUS, build

from retina_nb import UserError
from retina_nb.cores import ConvGRUCore, PassThrough, PhotoreceptorFrontEnd, StackedCore, feature_shape

every_core = pytest.mark.parametrize("name", NAMES)


def make(name, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return build(name).to(dtype).eval()


def stimulus(time, dtype=torch.float32, batch=2):
    channel, height, width = STIMULUS
    return torch.randn(batch, channel, time, height, width, dtype=dtype, generator=torch.Generator().manual_seed(1))


def bins(core, time):
    """The bin of the stimulus to which each output belongs."""
    return list(range(core.lag, time, core.time_stride))


@every_core
def test_lag_and_shape_are_as_declared(name):
    core = make(name)
    for time in range(core.lag + 1, core.lag + 6):
        features = core(stimulus(time))
        assert features.shape[2] == len(bins(core, time))
        assert feature_shape(core, STIMULUS, time) == tuple(features.shape[1:])


@every_core
def test_an_empty_batch_gives_empty_features(name):
    """Of several processes that train together, one may have no row of a batch, or none of a session."""
    core = make(name)
    movie = stimulus(core.lag + 4, batch=0).requires_grad_()
    features = core(movie, "a") if core.per_session else core(movie)
    assert tuple(features.shape) == (0, *feature_shape(core, STIMULUS, core.lag + 4))
    features.sum().backward()


@every_core
def test_an_output_sees_nothing_later_than_declared(name):
    core = make(name, torch.float64)
    movie = stimulus(core.lag + 16, torch.float64, batch=1).requires_grad_()
    features = core(movie)
    for output in (1, 3):
        bin = bins(core, movie.shape[2])[output]
        (gradient,) = torch.autograd.grad(features[:, :, output].square().sum(), movie, retain_graph=True)
        seen = gradient.abs().sum(dim=(0, 1, 3, 4)).nonzero()[:, 0]
        assert seen.max() == bin + core.lookahead


def test_only_cores_that_say_so_see_the_future():
    assert [name for name in NAMES if build(name).lookahead] == ["imported"]
    assert build("imported").lookahead == 4


@every_core
def test_a_change_of_the_future_changes_no_earlier_output(name):
    core = make(name)
    movie = stimulus(core.lag + 12)
    other = movie.clone()
    changed = core.lag + 7
    other[:, :, changed:] = 3 * torch.randn_like(other[:, :, changed:])
    earlier = sum(bin + core.lookahead < changed for bin in bins(core, movie.shape[2]))
    torch.testing.assert_close(core(movie)[:, :, :earlier], core(other)[:, :, :earlier])


@every_core
def test_sessions_are_known_where_there_are_any(name):
    core = make(name)
    movie = stimulus(core.lag + 2)
    if not core.per_session:
        return
    torch.testing.assert_close(core(movie, "a"), core(movie))  # they start at speed 1
    with pytest.raises(UserError, match="unknown session of the core 'c'"):
        core(movie, "c")


@every_core
def test_it_can_be_copied_after_a_forward_pass(name):
    core = make(name)
    movie = stimulus(core.lag + 3)
    features = core(movie)
    torch.testing.assert_close(copy.deepcopy(core)(movie), features)


@every_core
def test_it_builds_and_runs_on_the_meta_device(name):
    with torch.device("meta"):
        core = build(name)
        features = core(torch.randn(2, STIMULUS[0], core.lag + 4, *STIMULUS[1:]))
        assert features.device.type == "meta"
        assert core.regularizer().device.type == "meta"


@every_core
def test_all_parameters_learn(name):
    core = make(name).train()
    movie = stimulus(core.lag + 9).requires_grad_()
    features = [core(movie, session) for session in ("a", "b")] if core.per_session else [core(movie)]
    sum(one.pow(3).sum() for one in features).backward()
    for key, parameter in core.named_parameters():
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().sum() > 0, key


@every_core
def test_half_precision_gives_about_the_same(name):
    core = make(name)
    movie = stimulus(core.lag + 5)
    exact = core(movie)
    rounded = core.to(torch.bfloat16)(movie.to(torch.bfloat16))
    assert rounded.dtype == torch.bfloat16
    assert (rounded - exact).norm() < 0.05 * exact.norm()


@every_core
def test_a_penalty_is_a_number(name):
    assert make(name).regularizer() == 0


COMPILE = """
import sys
import torch
from cores.instances import NAMES, STIMULUS, build

torch._dynamo.config.recompile_limit = 64  # one for each core below
for name in NAMES:
    core = build(name).eval()
    movie = torch.randn(1, STIMULUS[0], core.lag + 2, *STIMULUS[1:])
    arguments = [(movie,), (movie, "a")] if core.per_session else [(movie,)]
    compiled = torch.compile(core, backend="eager", fullgraph=True)
    for given in arguments:
        torch.testing.assert_close(compiled(*given), core(*given), msg=lambda text: f"{name}: {text}")
"""


def test_all_compile_without_a_break():
    # In a process of its own: the compiler cannot read the shape checks that tests add.
    folder = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", COMPILE], check=True, cwd=folder)


@every_core
def test_too_small_a_stimulus_is_refused_in_a_sentence(name):
    core = make(name)
    channel, height, width = STIMULUS
    if name == "pass_through":
        return
    with pytest.raises(UserError, match="give more of it, or smaller kernels"):
        core(torch.zeros(1, channel, max(core.lag, 0), height, width))
    with pytest.raises(UserError, match="too small for the kernels: 20 bins of 2 x 17 pixels reach"):
        build("unpadded")(torch.zeros(1, channel, 20, 2, 17))


@pytest.mark.parametrize("core", [StackedCore, ConvGRUCore])
def test_options_that_do_not_exist_are_refused(core):
    needed = {"recurrent_channels": 2} if core is ConvGRUCore else {}
    with pytest.raises(TypeError, match="spped"):
        core(**STACK, **needed, spped=1.0)
    for option, value in (("convolution", "ful"), ("nonlinearity", "elo"), ("normalization", "layer")):
        with pytest.raises(UserError, match=f"unknown {option} '{value}'"):
            core(**STACK, **needed, **{option: value})


def test_the_front_end_refuses_what_does_not_exist():
    with pytest.raises(UserError, match="unknown photoreceptor 'cone'"):
        PhotoreceptorFrontEnd(PassThrough(), rate=30.0, mean=1.0, std=1.0, photoreceptor="cone")
