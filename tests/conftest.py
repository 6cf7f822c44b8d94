"""What the tests share: threads, a screen for each worker, the real movies, and random numbers that do not change."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_subpixel._util.user_folder import CONFIG

ROOT = Path(__file__).resolve().parents[1]
#: The fixtures of a test that opens a napari viewer.
VIEWERS = {"make_napari_viewer", "viewer_window"}
#: What trains, optimises or compares computed numbers: by folder or module.
NUMBERS = {"training", "models", "detection", "calibration", "test_examples", "test_fine_tuning"}
#: Environment variable; where it is "required" a test that needs a screen fails without one instead of being skipped.
SCREEN = "NAPARI_SUBPIXEL_SCREEN"
_SCREEN = pytest.StashKey[subprocess.Popen[str]]()


# -- processes and screens ----------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Give each process one thread, and each worker of pytest-xdist a virtual screen of its own where there can be one.

    Workers share the processors, and numbers do not depend on how many there are. What is set here is read when a
    worker, or a process that a test starts, loads NumPy and PyTorch.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    if not os.environ.get("PYTEST_XDIST_WORKER") or os.environ.get("QT_QPA_PLATFORM", "xcb") != "xcb":
        return
    if sys.platform != "linux" or not shutil.which("Xvfb"):
        return
    # The shell ends the screen when this process closes the pipe, or dies.
    command = ["sh", "-c", 'Xvfb -displayfd 1 -screen 0 "$0" & cat >/dev/null; kill $!']
    command.append(os.environ.get("SCREEN", "1280x1024") + "x24")
    screen = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert screen.stdout is not None
    if number := screen.stdout.readline().strip():
        os.environ |= {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
        os.environ.pop("WAYLAND_DISPLAY", None)
    config.stash[_SCREEN] = screen


def pytest_unconfigure(config: pytest.Config) -> None:
    if screen := config.stash.get(_SCREEN, None):
        screen.communicate()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without a screen Qt would end the process, already when it is loaded for a fixture."""
    is_there = sys.platform != "linux" or {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"} & os.environ.keys()
    if not is_there and {"viewer", "qapp"} & {*item.keywords, *getattr(item, "fixturenames", ())}:
        _without_screen("no screen: install xvfb and run scripts/with-screen")


def _without_screen(why: str) -> None:
    """Skip a test that needs a screen, or fail it where a screen is required."""
    if os.environ.get(SCREEN) == "required":
        pytest.fail(f"{why} ({SCREEN}=required)", pytrace=False)
    pytest.skip(why)


@pytest.fixture(autouse=True, scope="module")
def quick_collections() -> None:
    """Leave everything loaded so far out of garbage collections, such as napari's whenever its layers are cleared."""
    gc.collect()
    gc.freeze()


@functools.cache
def draws_viewers() -> bool:
    """Return whether Qt can draw a viewer's canvas, a widget of OpenGL; there has to be a QApplication."""
    from qtpy.QtGui import QOpenGLContext
    from qtpy.QtWidgets import QApplication

    return QApplication.platformName() not in ("offscreen", "minimal") and QOpenGLContext().create()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if VIEWERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.viewer)
        if {*item.path.parent.relative_to(ROOT / "tests").parts, item.path.stem} & NUMBERS:
            item.add_marker(pytest.mark.numbers)


@pytest.fixture(autouse=True)
def skip_without_opengl(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("viewer"):
        request.getfixturevalue("qapp")
        if not draws_viewers():
            _without_screen("no screen with OpenGL: install xvfb and run scripts/with-screen")


@pytest.fixture(autouse=True)
def one_thread_afterwards() -> Iterator[None]:
    """A test may ask PyTorch for more threads, or start a cluster that does; those after it do not wait for them."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


# -- data ---------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_own_files(monkeypatch, tmp_path_factory) -> None:
    """Whoever runs the tests has kept no camera and no model of their own."""
    monkeypatch.setenv(CONFIG, str(tmp_path_factory.mktemp("own-files")))


class Clock:
    """A clock that only moves while its user sleeps, so that a busy machine does not end a movie."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """Watch growing movies by a clock of the test's own."""
    from napari_subpixel.stacks import growing

    clock = Clock()
    monkeypatch.setattr(growing, "time", clock)
    return clock


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20201130)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real movies with truth; a test that needs it is skipped where it is not there."""
    folder = Path(os.environ.get("NAPARI_SUBPIXEL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}: set NAPARI_SUBPIXEL_DATA")
    return folder


@pytest.fixture(scope="session")
def cases(data_folder: Path) -> Callable[[str], Path]:
    """Return the folder of a kind of inputs on which programs have failed, next to the real movies."""

    def folder_of(kind: str) -> Path:
        folder = data_folder.parent / "cases" / kind
        if not folder.is_dir():
            pytest.skip(f"no inputs in {folder}")
        return folder

    return folder_of
