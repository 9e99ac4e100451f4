"""A browser, and servers to look at: JupyterLab, Notebook and Voilà on copies of the notebooks, and then gone."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from browsing import window

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "runs" / "browser"  # CI keeps them
START_SECONDS = 120


@pytest.fixture(scope="module")
def browser():
    """Chromium: the system's, or the one that `playwright install chromium` downloads."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
    with playwright.sync_playwright() as driver:
        downloaded = driver.chromium.executable_path
        names = ("chromium", "chromium-browser", "google-chrome")
        found = next(filter(None, map(shutil.which, names)), downloaded if Path(downloaded).exists() else None)
        if found is None:
            pytest.skip("there is no Chromium: install it, or run 'playwright install --with-deps chromium'")
        # With scroll bars, which people see and which tests would else be spared.
        launched = driver.chromium.launch(
            executable_path=found, args=["--no-sandbox"], ignore_default_args=["--hide-scrollbars"]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def page(browser):
    """A fresh window that sees this machine only; `page.elsewhere` has what it asked of others."""
    with window(browser, viewport={"width": 1280, "height": 1000}) as opened:
        yield opened


@pytest.fixture
def keep(request):
    """Keep a picture of the page, or of a part of it, under the test's name."""
    return lambda part, name="": part.screenshot(path=SCREENSHOTS / f"{request.node.name}{name}.png")


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory) -> Path:
    """A copy of notebooks/, so that nothing is written into the tree."""
    return shutil.copytree(ROOT / "notebooks", tmp_path_factory.mktemp("served") / "notebooks")


@pytest.fixture(scope="module")
def lab(notebooks) -> Iterator[str]:
    """The address of JupyterLab."""
    with _jupyter("jupyterlab", notebooks) as url:
        yield url


@pytest.fixture(scope="module")
def notebook(notebooks) -> Iterator[str]:
    """The address of Notebook 7."""
    pytest.importorskip("notebook", reason="Notebook is not installed")
    with _jupyter("notebook", notebooks) as url:
        yield url


@pytest.fixture(scope="module")
def voila(notebooks) -> Iterator[str]:
    """The address of Voilà, which lists the notebooks."""
    pytest.importorskip("voila", reason="the extra 'voila' is not installed")
    scripts = "--VoilaConfiguration.extension_language_mapping=.py=python"
    with _server("voila", [str(notebooks), scripts, "--no-browser"], notebooks.parent, "/voila/static/a") as url:
        yield url


def _jupyter(module: str, root: Path) -> AbstractContextManager[str]:
    options = [f"--ServerApp.root_dir={root}", "--IdentityProvider.token=", "--ServerApp.port_retries=0"]
    return _server(module, [*options, "--no-browser", "--allow-root"], root.parent, "/api/status")


@contextmanager
def _server(module: str, options: list[str], folder: Path, alive: str) -> Iterator[str]:
    """A server on a free port of this machine, with settings of its own, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = folder / module
    places = {f"JUPYTER_{what}_DIR": str(own / what.lower()) for what in ("CONFIG", "DATA", "RUNTIME")}
    places |= {"JUPYTERLAB_SETTINGS_DIR": str(own / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces")}
    environment = os.environ | places | {"IPYTHONDIR": str(own / "ipython")}
    environment.pop("MPLBACKEND", None)  # without it kernels draw into the notebook
    command = [sys.executable, "-m", module, *options, "--ip=127.0.0.1", f"--port={port}"]
    _ask_nothing(own / "settings")
    with (
        open(own / "log", "wb") as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            _wait_for(f"http://127.0.0.1:{port}{alive}", process, own / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process)


def _ask_nothing(settings: Path) -> None:
    """JupyterLab asks newcomers whether they want news, in front of what is to be seen."""
    news = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false"}')


def _wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return  # it answers
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no server at {url}:\n{log.read_text()[-3000:]}")


def _stop(process: subprocess.Popen) -> None:
    """End a server; it ends its kernels, which would otherwise see that it is gone."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, ending)
            process.wait(timeout=15)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
