"""A core and a readout of one's own, as OpenRetina's documentation shows them, with our imports."""

import numpy as np
import pytest
import torch
from helpers import small_recording

import retina_nb as rnb
from retina_nb.analyses.receptive_fields import operating_points, receptive_fields

# As it is, but for the imports.
EXAMPLE = """
import torch
from retina_nb.cores import Core
from retina_nb.readouts import Readout
from retina_nb.models import CoreReadout

# Define a custom core module
class MyCustomCore(Core):
    def __init__(self, input_channels=2, hidden_channels=32):
        super().__init__()
        self.conv1 = torch.nn.Conv3d(input_channels, hidden_channels, kernel_size=(5, 3, 3), padding=(2, 1, 1))
        self.conv2 = torch.nn.Conv3d(hidden_channels, hidden_channels, kernel_size=(5, 3, 3), padding=(2, 1, 1))
        self.relu = torch.nn.ReLU()
        
    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return x
        
    def stimulus_shape(self, time_steps, num_batches=1):
        return (num_batches, 2, time_steps, 16, 18)

# Define a custom readout module
class MyCustomReadout(Readout):
    def __init__(self, input_shape, num_neurons=150):
        super().__init__()
        self.num_neurons = num_neurons
        _, channels, _, height, width = input_shape
        self.flatten = torch.nn.Flatten(start_dim=2)
        flattened_size = channels * height * width
        self.linear = torch.nn.Linear(flattened_size, num_neurons)
        
    def forward(self, x):
        # x has shape (batch, channels, time, height, width)
        batch, _, time = x.shape[:3]
        x = x.permute(0, 2, 1, 3, 4)  # (batch, time, channels, height, width)
        x = x.reshape(batch * time, x.shape[2], x.shape[3], x.shape[4])
        x = self.flatten(x)
        x = self.linear(x)
        x = x.reshape(batch, time, self.num_neurons)
        return x

# Create the core and readout modules
core = MyCustomCore(input_channels=2, hidden_channels=32)
readout = MyCustomReadout(input_shape=(1, 32, 1, 16, 18), num_neurons=150)

# Combine them into a CoreReadout model
custom_model = CoreReadout(core=core, readout=readout)
"""


@pytest.fixture(scope="module")
def example():
    names: dict = {}
    exec(EXAMPLE, names)
    return names


def test_the_documented_example_runs(example):
    assert example["custom_model"].sessions == []
    features = example["core"](torch.randn(example["core"].stimulus_shape(12)))
    assert features.shape == (1, 32, 12, 16, 18)


@pytest.fixture(scope="module")
def parts(example):
    """The example's parts, small. Its readout flattens from the wrong axis on, which is mended."""

    class Readout(example["MyCustomReadout"]):
        def __init__(self, input_shape, num_neurons):
            super().__init__(input_shape, num_neurons)
            self.flatten = torch.nn.Flatten(start_dim=1)

    def make():
        core = example["MyCustomCore"](input_channels=2, hidden_channels=4)
        return {"core": core, "readout": Readout((1, 4, 1, 7, 9), 3)}

    return make


def test_such_a_model_trains_saves_loads_and_is_analysed(parts, tmp_path):
    recording = small_recording()
    torch.manual_seed(0)
    twin = rnb.build_twin(recordings={"a": recording}, **parts())
    fit = rnb.fit(twin, {"a": recording}, max_epochs=3, loss="mse")
    assert fit.history["loss"].iloc[-1] < fit.history["loss"].iloc[0]
    again = rnb.load_twin(twin.save(tmp_path / "mine.safetensors"), **parts())
    stimulus = torch.randn(1, 2, 20, 7, 9)
    torch.testing.assert_close(again(stimulus), twin(stimulus))
    assert len(rnb.evaluate(again, {"a": recording}, baseline=None)) == 3
    points = operating_points(recording, again.lag, stimuli=4)
    assert receptive_fields(again, points).centers.shape == (3, 2)


def test_its_lag_is_measured_when_it_first_predicts(parts):
    model = rnb.models.CoreReadout(**parts())
    with pytest.raises(rnb.UserError, match=r"set core\.lag"):
        _ = model.lag
    assert model(torch.randn(2, 2, 11, 7, 9)).shape == (2, 11, 3)
    assert model.lag == 0
    np.testing.assert_equal(model.sessions, [])


def test_a_card_does_not_vouch_for_parts_made_by_hand(parts, capsys):
    rnb.build_twin(recordings={"a": small_recording()}, **parts()).card()
    card = capsys.readouterr().out
    assert "parts made by hand" in card
    assert "causal" not in card
