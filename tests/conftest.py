"""Settings and fixtures that all tests share."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.load_profile("ci")  # the same examples in every run, and no deadline on a busy machine


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        # Not the user's cache, and one for all processes: what is simulated is simulated once.
        cache = tempfile.TemporaryDirectory(prefix="retina_nb-tests-")
        config.add_cleanup(cache.cleanup)
        os.environ["RETINA_NB_CACHE"] = cache.name


@pytest.fixture(scope="session", autouse=True)
def _quiet_neighbour() -> None:
    """One thread for each of the test processes, and no windows. The kernels of notebooks keep their own settings."""
    import matplotlib
    import torch

    torch.set_num_threads(1)
    matplotlib.use("Agg")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings: RETINA_NB_DATA, or shared/data beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RETINA_NB_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"the real recordings are not here: no folder {folder}, set RETINA_NB_DATA")
    return folder
