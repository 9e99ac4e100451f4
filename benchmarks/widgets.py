"""How long a person waits: from a slider to the picture in a real browser, and how evenly a film plays.

``python -m benchmarks.widgets`` serves a page with Voilà on this machine and moves its sliders in Chromium, key by key:
the time from each key to the moment at which the browser has the new picture and paints it (ms), for `live` with a
cheap figure and for `explore_twin`, `browse_neurons` and `steer_mei` with the twin that comes with the package. Of
`browse_neurons` it chooses one neuron after the other, each for the first time, and then again. It drags one slider
fast, watches `steer_mei` climb, and plays a film of 30 Hz. Prints a table and writes JSON: ``latency_ms`` (median,
quartiles, 95th percentile and number, a row for each control; of ``steer_mei: step`` it is the time from each picture
of the ascent to the next, in which the step is taken), ``drag`` (pictures a second, and whether the last value is the
one that is shown), ``film`` (frames a second, intervals, frames left out), the machine, and how many cores others used
meanwhile.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import numpy as np

from benchmarks.machine import busy_seconds, describe, wait_until_quiet
from retina_nb.files import replace_file

PAGE = """
import numpy as np
import retina_nb as rnb
from retina_nb import plots, stimuli, widgets

def wave(height=0.5):
    made, ax = plots.style.figure(size=(6, 3))
    ax.plot(height * np.sin(np.arange(200) / 10))
    ax.set(ylim=(-1, 1), title=f"height {height:.2f}")
    return made

twin = rnb.load_twin("simulated")
display(widgets.live(wave, height=(0.0, 1.0)))
display(widgets.explore_twin(twin, truth=rnb.load_truth()))
recordings = rnb.load_recordings("simulated")
display(widgets.browse_neurons(rnb.evaluate(twin, recordings, baseline=None), twin, recordings))
display(widgets.steer_mei(twin))
display(widgets.play(stimuli.natural_movie(stimuli.Screen.of(twin), duration=10.0)))
"""
# (stimulus of explore_twin, or another widget, and the label of the slider).
MOVED = [
    ("live", "height"),
    ("steer_mei", "norm"),
    ("steer_mei", "neuron"),
    ("spot", "frame at (s)"),
    ("spot", "contrast"),
    ("spot", "diameter (µm)"),
    ("spot", "right (µm)"),
    ("spot", "neuron"),
    ("moving bar", "direction (°)"),
    ("moving bar", "speed (µm/s)"),
    ("drifting grating", "frequency (Hz)"),
    ("white noise", "seed"),
    ("natural movie", "seed"),
    ("chirp", "contrast"),
]
WATCH = """picture => {
    window.waits = []; window.pictures = 0;
    if (window.pressed === undefined)
        document.addEventListener('keydown', () => window.pressed = performance.now(), true);
    window.pressed = 0;
    picture.onload = () => {
        window.pictures += 1;
        requestAnimationFrame(() => window.waits.push(performance.now() - window.pressed));
    };
}"""
WATCH_STEPS = """picture => {
    window.times = [performance.now()];
    picture.onload = () => requestAnimationFrame(() => window.times.push(performance.now()));
}"""
FOLLOW = """marker => {
    window.rows = [];
    new MutationObserver(() => window.rows.push([performance.now(), parseInt(marker.style.gridRow)]))
        .observe(marker, {attributes: true, attributeFilter: ['style']});
}"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=30, help="presses of a key for each slider")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds to wait for a quiet moment before each")
    parser.add_argument("--chromium", default=which("chromium"), help="the browser")
    parser.add_argument("--output", type=Path, default=Path("runs/widgets/benchmark.json"))
    parser.add_argument("--screenshots", type=Path, help="a folder for pictures of the page")
    options = parser.parse_args(arguments)
    if not options.chromium:
        sys.exit("there is no Chromium: install it, or name the browser with --chromium")
    with served(PAGE) as address, browser(options.chromium, address) as page:
        page.wait_for_selector(".widget-play")
        time.sleep(2)
        report: dict[str, Any] = {"latency_ms": {}, "machine": describe()}
        for where, label in MOVED:
            row = report["latency_ms"][f"{where}: {label}"] = moved(page, where, label, options.keys, options.wait)
            tell(where, label, row, page, options.screenshots)
        for label, key in (("a neuron", "ArrowDown"), ("the same again", "ArrowUp")):
            row = report["latency_ms"][f"browse_neurons: {label}"] = chosen(page, key, options.keys, options.wait)
            tell("browse_neurons", label, row, page, options.screenshots)
        row = report["latency_ms"]["steer_mei: step"] = climbed(page, options.keys, options.wait)
        tell("steer_mei", "step", row, page, options.screenshots)
        report["drag"], report["film"] = drag(page), film(page)
        print("drag", report["drag"], "\nfilm", report["film"])
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(options.output) as path:
        path.write_text(json.dumps(report, indent=1))


def tell(where: str, label: str, row: dict[str, float], page: Any, folder: Path | None) -> None:
    """Print a row, and keep a picture of the page if there is a folder for it."""
    print(f"{where:18s} {label:16s} " + " ".join(f"{key} {value:g}" for key, value in row.items()), flush=True)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{where}_{label.partition(' (')[0]}.png")


@contextmanager
def served(code: str) -> Iterator[str]:
    """The address of a page that shows what some code displays, on this machine only."""
    with TemporaryDirectory() as folder:
        about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)], metadata=about)
        nbformat.write(notebook, path := Path(folder, "page.ipynb"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "voila", str(path), "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}
        server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if server.poll() is not None:
                        sys.exit("Voilà did not start: install the extra 'voila'")
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait()


@contextmanager
def browser(chromium: str, address: str) -> Iterator[Any]:
    """A page in a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = started.new_page(viewport={"width": 1280, "height": 1250})
        page.set_default_timeout(300_000)
        page.goto(address, wait_until="commit")
        yield page
        started.close()


# What each widget alone has.
OWN = {"live": "height", "browse_neurons": "only where", "steer_mei": "sparsity", "explore_twin": "stimulus"}


def part_of(page: Any, where: str) -> tuple[Any, Any]:
    """The widget that is meant and its picture, with the stimulus chosen in it."""
    name = where if where in OWN else "explore_twin"
    own = page.locator(f'.widget-label:text-is("{OWN[name]}")')
    widget = page.locator(".widget-hbox:has(> .widget-vbox > .widget-image)", has=own)
    if where not in OWN:
        widget.locator(".widget-dropdown", has_text="stimulus").locator("select").select_option(label=where)
        time.sleep(1)
    return widget, widget.locator("img").first


def handle_of(widget: Any, label: str) -> Any:
    """What is dragged of a slider."""
    return widget.locator(f'.widget-hslider:has(> .widget-label:text-is("{label}")) .noUi-handle')


def moved(page: Any, where: str, label: str, keys: int, wait_s: float) -> dict[str, float]:
    """Milliseconds from a key that moves a slider to the picture."""
    widget, picture = part_of(page, where)
    handle = handle_of(widget, label)
    # There and back, so that no end is reached: for a value beyond it nothing is drawn.
    ways = ["ArrowRight", "ArrowLeft"]
    if handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax"):
        ways.reverse()
    return latency(page, picture, handle, [ways[key % 10 // 5] for key in range(keys)], wait_s)


def chosen(page: Any, key: str, keys: int, wait_s: float) -> dict[str, float]:
    """Milliseconds from a key that chooses another neuron to the picture of all that is known of it."""
    widget, picture = part_of(page, "browse_neurons")
    return latency(page, picture, widget.locator(".retina-nb-table select[size]"), [key] * keys, wait_s)


def latency(page: Any, picture: Any, pressed: Any, keys: Sequence[str], wait_s: float) -> dict[str, float]:
    """Milliseconds from each key to the picture."""
    picture.evaluate(WATCH)
    with quiet(wait_s) as busy:
        for key in keys:
            seen = page.evaluate("window.waits.length")
            pressed.press(key)
            page.wait_for_function(f"window.waits.length > {seen} || performance.now() - window.pressed > 5000")
    return quartiles(page.evaluate("window.waits")) | busy


def climbed(page: Any, steps: int, wait_s: float) -> dict[str, float]:
    """Milliseconds from one picture of an ascent to the next, from a press of the button on."""
    widget, picture = part_of(page, "steer_mei")
    with quiet(wait_s) as busy:
        picture.evaluate(WATCH_STEPS)
        widget.get_by_role("button", name="From noise").click()
        page.wait_for_function(f"window.times.length > {steps} || performance.now() - window.times.at(-1) > 5000")
    return quartiles(np.diff(page.evaluate("window.times"))) | busy


@contextmanager
def quiet(wait_s: float) -> Iterator[dict[str, float]]:
    """A quiet moment, if one comes in time, and how many cores were busy until the end of the block."""
    wait_until_quiet(wait_s)
    before, then, told = busy_seconds(), time.monotonic(), dict[str, float]()
    yield told
    told["cores_busy"] = round((busy_seconds() - before) / (time.monotonic() - then), 2)


def quartiles(waits: Sequence[float]) -> dict[str, float]:
    low, median, high, most = np.percentile(waits, [25, 50, 75, 95]).round(1).tolist()
    return {"median": median, "low": low, "high": high, "p95": most, "n": len(waits)}


def drag(page: Any) -> dict[str, Any]:
    """A slider dragged for two seconds: how many pictures come, and whether the last value is that of the last one."""
    widget, picture = part_of(page, "spot")
    handle = handle_of(widget, "diameter (µm)")
    picture.evaluate(WATCH)
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    started = time.monotonic()
    for step in range(120):
        page.mouse.move(x + 30 * np.sin(step / 8), y)
        time.sleep(1 / 60)
    seconds = time.monotonic() - started
    pictures = page.evaluate("window.pictures")
    page.mouse.up()
    time.sleep(1)
    left = picture.screenshot()
    # The same value, come to by keys: the picture must be the one that the drag left.
    for key in ("ArrowRight", "ArrowLeft"):
        handle.press(key)
        time.sleep(0.7)
    return {"pictures_per_s": round(pictures / seconds, 1), "last_value_shown": picture.screenshot() == left}


def film(page: Any) -> dict[str, float]:
    """A film played for five seconds."""
    marker = page.locator(".widget-gridbox:has(img) > *").last
    marker.evaluate(FOLLOW)
    page.locator(".widget-play button").first.click()
    time.sleep(5)
    page.locator(".widget-play button").first.click()
    times, rows = np.array(page.evaluate("window.rows")).T
    intervals = np.diff(times)
    return {
        "frames_per_s": round(1000 / float(intervals.mean()), 2),
        "interval_median_ms": round(float(np.median(intervals)), 1),
        "interval_p95_ms": round(float(np.percentile(intervals, 95)), 1),
        "left_out": int((np.diff(rows) - 1).sum()),
    }


if __name__ == "__main__":
    main()
