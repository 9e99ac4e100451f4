import pytest
import torch

from retina_nb.cores import StackedCore
from retina_nb.models import CoreReadout
from retina_nb.readouts import GaussianMaskReadout, SessionReadouts


@pytest.fixture(scope="package")
def twin():
    """Two sessions of 3 and 2 cells, which look at a screen of 5 by 7 pixels of 50 µm."""
    torch.manual_seed(0)
    core = StackedCore(in_channels=2, hidden_channels=[3, 4], temporal_kernel_sizes=[5, 3], spatial_kernel_sizes=[3, 3])
    cells = {"a": 3, "b": 2}
    readouts = SessionReadouts({name: GaussianMaskReadout((4, 1, 3, 5), count) for name, count in cells.items()})
    for one in readouts.readouts.values():
        one.features.data.copy_(torch.rand(one.features.shape))
    about = {"rate_hz": 30.0, "pixel_um": 50.0, "channels": ["green", "UV"], "neurons": cells}
    return CoreReadout(core, readouts, stimulus_shape=(2, 5, 7), about=about)
