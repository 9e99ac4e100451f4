"""Local spike-triggered averages: the gradient of each cell's response by the pixels of each of many images."""

# mypy: disable-error-code="import-not-found"

import numpy as np

from benchmarks.pairs import Options, Pair, Results
from benchmarks.peer_models import LAG, both, peer_model, settle
from retina_nb.analyses import local_spike_triggered_averages

SESSION, IMAGES, CELLS = "one", 64, 20
GREY, FRAMES = LAG + 10, 16  # as openretina makes its movies: nothing for its lag and ten frames more, then the image
WINDOW = (5, 15)  # outputs that count


def prepare(name: str, options: Options) -> Pair:
    """All cells at once; openretina takes them one by one, so that two of them tell its time for each."""
    from openretina.insilico.vector_field_analysis.vector_field_analysis import compute_lsta_library

    model = settle(peer_model("low_res", {SESSION: 100}, bins=GREY + FRAMES), "low_res")
    twin, theirs = (one.eval().to(options.device) for one in both(model, options.folder / f"{name}.ckpt"))
    images = np.random.default_rng(0).standard_normal((IMAGES, 2, 1, 18, 16)).astype(np.float32)
    movies = np.concatenate([np.zeros_like(images).repeat(GREY, axis=2), images.repeat(FRAMES, axis=2)], axis=2)
    compared = 1 if options.quick else 2

    def ours() -> Results:
        window = (twin.lag + WINDOW[0], twin.lag + WINDOW[1])
        found = local_spike_triggered_averages(twin, movies, window=window, session=SESSION, neurons=range(CELLS))
        # openretina sums responses over the window, and averages gradients over all frames, the empty ones included.
        return {"lsta": found.lsta[:compared] * (WINDOW[1] - WINDOW[0]) / movies.shape[2]}

    def peer() -> Results:
        settings = {"session_id": SESSION, "integration_window": WINDOW, "device": options.device}
        found = [compute_lsta_library(theirs, movies, cell_id=cell, **settings)[0] for cell in range(compared)]
        return {"lsta": np.stack(found)}

    return Pair(f"{IMAGES} images, {CELLS} cells, by cell", ours, peer, ours_units=CELLS, peer_units=compared)
