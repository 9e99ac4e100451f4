"""Photoreceptors against their equations, against what is known of adaptation, and against planted parameters."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from retina_nb.cores.photoreceptors import (
    ADAPTATION,
    CASCADES,
    DynamicalAdaptation,
    Phototransduction,
    gamma_filter,
)

MEANS = {"adaptation": 20.0, "mouse_cone": 1000.0, "primate_cone": 3000.0, "primate_rod": 3.0}
every_kind = pytest.mark.parametrize("kind", MEANS)


def make(kind, rate=30.0):
    if kind == "adaptation":
        return DynamicalAdaptation(rate=rate, mean=MEANS[kind]).double()
    return Phototransduction(kind, rate=rate, mean=MEANS[kind]).double()


def respond(receptor, light):
    """Response to a course of light, in units of mean light."""
    course = torch.as_tensor(light, dtype=torch.float64) * receptor.mean
    return receptor(course[None, None, :, None, None])[0, 0, :, 0, 0].detach().numpy()


def flash(receptor, background, height):
    """Largest change by 0.1 s of more light, 4 s into a constant background."""
    start, end = int(4 * receptor.rate), int(4.1 * receptor.rate)
    light = np.full(int(4.6 * receptor.rate), float(background))
    light[start:end] += height
    response = respond(receptor, light)
    return response[start:].max() - response[start - 1]


def test_dynamical_adaptation_has_its_steady_state():
    receptor = make("adaptation")
    for light in (0.0, 0.3, 1.0, 7.0):
        beta = ADAPTATION["beta"][0]
        expected = light / (1 + beta * light) * (1 + beta) - 1
        assert respond(receptor, np.full(150, light))[-1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", CASCADES)
def test_the_cascade_has_its_steady_state(kind):
    receptor = make(kind)
    value = {name: start for name, (start, _) in CASCADES[kind].items()}
    for light in (0.0, 0.3, 1.0, 100.0):
        state = receptor.steady_state(torch.tensor(light * receptor.mean, dtype=torch.float64))
        opsin, enzyme, calcium, cgmp = (float(one.detach()) for one in state)
        assert opsin == pytest.approx(value["gamma"] * light * receptor.mean / value["sigma"])
        assert enzyme == pytest.approx((opsin + value["eta"]) / value["sigma"])
        assert calcium == pytest.approx(cgmp**3)
        made = value["eta"] / value["sigma"] * (1 + value["affinity"] ** -4) / (1 + (calcium / value["affinity"]) ** 4)
        assert enzyme * cgmp == pytest.approx(made)
        adapted = receptor.steady_state(torch.tensor(receptor.mean, dtype=torch.float64))[-1].item()
        assert respond(receptor, np.full(150, light))[-1] == pytest.approx(1 - (cgmp / adapted) ** 3, abs=1e-6)
    dark = receptor.steady_state(torch.zeros((), dtype=torch.float64))[2:]
    torch.testing.assert_close(torch.stack(dark).detach(), torch.ones(2, dtype=torch.float64))


@every_kind
def test_mean_light_gives_no_response_and_more_light_a_positive_one(kind):
    receptor = make(kind)
    np.testing.assert_allclose(respond(receptor, np.ones(5)), 0, atol=1e-9)
    assert respond(receptor, np.full(5, 2.0)).min() > 0
    assert respond(receptor, np.zeros(5)).max() < 0


@pytest.mark.parametrize("kind", CASCADES)
def test_the_cascade_follows_its_equations(kind):
    """Solved for concentrations as measured (cGMP 20 µM, calcium 2 µM in the dark), which must not matter."""
    rate, levels = 30.0, [1.0, 0.2, 3.0, 0.0, 1.0]
    light = np.repeat(levels, 9)
    receptor = make(kind, rate)
    value = {name: start for name, (start, _) in CASCADES[kind].items()}
    cgmp_dark, calcium_dark, per_current = 20.0, 2.0, 0.01
    current_dark = per_current * cgmp_dark**3
    affinity = value["affinity"] * calcium_dark
    most = value["eta"] / value["sigma"] * cgmp_dark * (1 + (calcium_dark / affinity) ** 4)

    def change(time, state, light):
        opsin, enzyme, cgmp, calcium = state
        return [
            value["gamma"] * light - value["sigma"] * opsin,
            opsin + value["eta"] - value["sigma"] * enzyme,
            most / (1 + (calcium / affinity) ** 4) - enzyme * cgmp,
            value["beta"] * (calcium_dark * per_current * cgmp**3 / current_dark - calcium),
        ]

    start = receptor.steady_state(torch.tensor(receptor.mean, dtype=torch.float64))
    opsin, enzyme, calcium, cgmp = (float(one.detach()) for one in start)
    state = np.array([opsin, enzyme, cgmp * cgmp_dark, calcium * calcium_dark])
    current = [per_current * state[2] ** 3]
    for one in light * receptor.mean:
        state = solve_ivp(change, (0, 1 / rate), state, "LSODA", args=(one,), rtol=1e-8, atol=1e-10).y[:, -1]
        current.append(per_current * state[2] ** 3)
    expected = 1 - np.array(current[1:]) / current[0]
    np.testing.assert_allclose(respond(receptor, light), expected, atol=0.01 * np.ptp(expected))


@every_kind
def test_responses_do_not_depend_on_the_width_of_bins(kind):
    light = np.random.default_rng(0).uniform(0.2, 2, 60)
    coarse, fine = respond(make(kind, 30.0), light), respond(make(kind, 300.0), np.repeat(light, 10))[9::10]
    assert np.abs(coarse - fine).max() < 0.06 * np.ptp(fine)


def test_dynamical_adaptation_follows_its_equation():
    rate = 400.0
    light = np.repeat([1.0, 4.0, 0.5], 200)
    value = {name: start for name, (start, _) in ADAPTATION.items()}
    time = np.arange(600) / rate

    def filtered(tau, order):  # of light that had its mean, 1, before
        kernel = time**order * np.exp(-time / tau)
        return np.convolve(light - 1, kernel / kernel.sum())[:600] + 1

    fast = filtered(value["tau_y"], 2)
    slow = value["gamma"] * fast + (1 - value["gamma"]) * filtered(value["tau_z"], 3)
    state, expected = 1 / (1 + value["beta"]), []
    for y, z in zip(fast, slow, strict=True):
        state += (y - (1 + value["beta"] * z) * state) / (rate * value["tau_r"])
        expected.append(state * (1 + value["beta"]) - 1)
    np.testing.assert_allclose(respond(make("adaptation", rate), light), expected, atol=0.02 * np.ptp(expected))


def test_a_gamma_filter_has_its_mean_and_sum():
    kernel = gamma_filter(torch.tensor(0.05, dtype=torch.float64), 2, 200, 200.0)
    delay = (torch.arange(200) + 0.5) / 200
    assert float(kernel.sum()) == pytest.approx(1)
    assert float(kernel @ delay.double()) == pytest.approx(3 * 0.05, rel=0.01)


@pytest.mark.parametrize("kind", ["adaptation", "mouse_cone", "primate_cone"])  # opsin of rods is slower than feedback
def test_a_step_of_light_is_answered_and_adapted_to(kind):
    response = respond(make(kind, 100.0), np.concatenate([np.full(200, 0.1), np.ones(250)]))
    assert response[199] < -0.1
    assert response[200:230].max() > 0.04
    assert abs(response[-1]) < 1e-6


@every_kind
def test_light_takes_the_gain_down_as_weber_says(kind):
    """The gain is constant in dim light, and less by as much as light is more where it is bright."""
    receptor = make(kind, 100.0)
    gain = {light: flash(receptor, light, 0.01 * light) / light for light in (0.001, 0.01, 1, 10)}
    assert gain[0.001] / gain[0.01] < 1.1
    assert 3.5 < gain[1] / gain[10] < 12


@every_kind
def test_gradients_are_those_of_finite_differences(kind):
    receptor = make(kind, 100.0)
    names = list(receptor.raw)

    def response(light, *raw):
        state = {f"raw.{name}": one for name, one in zip(names, raw, strict=True)}
        return torch.func.functional_call(receptor, state, light * receptor.mean)

    light = torch.rand(1, 1, 5, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    raw = torch.full((len(names),), 0.1, dtype=torch.float64)
    assert torch.autograd.gradcheck(response, [one.requires_grad_() for one in (light, *raw.unbind())])


@every_kind
def test_parameters_start_as_published_and_stay_in_their_ranges(kind):
    receptor = make(kind)
    starts = ADAPTATION if kind == "adaptation" else CASCADES[kind]
    light = np.random.default_rng(0).uniform(0, 3, 40)
    for raw, power in ((0.0, 0), (100.0, 1), (-100.0, -1)):
        for parameter in receptor.raw.values():
            torch.nn.init.constant_(parameter, raw)
        for name, (start, factor) in starts.items():
            assert receptor.values()[name].item() == pytest.approx(start * factor**power)
        assert np.isfinite(respond(receptor, light)).all()


@pytest.mark.parametrize(
    ("kind", "planted"), [("adaptation", {"beta": -0.5, "tau_y": -0.4}), ("mouse_cone", {"sigma": 0.5, "beta": -0.4})]
)
def test_planted_parameters_are_recovered(kind, planted):
    truth, receptor = make(kind, 125.0), make(kind, 125.0)
    for name, raw in planted.items():
        torch.nn.init.constant_(truth.raw[name], raw)
    random = torch.Generator().manual_seed(0)
    light = 3 * truth.mean * torch.rand(1, 1, 50, 1, 3, dtype=torch.float64, generator=random)
    target = truth(light).detach()
    optimizer = torch.optim.Adam([receptor.raw[name] for name in planted], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        (receptor(light) - target).square().mean().backward()
        optimizer.step()
    for name in planted:
        assert receptor.values()[name].item() == pytest.approx(truth.values()[name].item(), rel=0.02)
