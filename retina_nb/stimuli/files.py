"""Stimuli as files: exact arrays, films to look at, and movies for the rig."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image

from retina_nb.errors import UserError, unknown
from retina_nb.files import expand_path, replace_file
from retina_nb.stimuli.stimulus import Screen, Stimulus

# Places of the stimulus channels among red, green and blue: green and UV light are the rig's green and blue.
RGB = {1: (0, 1, 2), 2: (1, 2), 3: (0, 1, 2)}
_GREY = 127.5  # grey level of contrast 0


def save_stimulus(stimulus: Stimulus, path: str | Path, *, contrast: float = 1.0) -> Path:
    """Write a stimulus; returns the path. The suffix says how.

    - ``.npy``: the frames (channel, time, height, width) to the bit; screen, events and parameters in the ``.json`` of
      the same name.
    - ``.mp4``: a film of 8 bits without further loss (H.264), and the ``.json``; needs the extra ``retina_nb[video]``.
    - ``.png``: a movie for QDSpy (Euler, Franke & Baden 2019): a montage of frames from the bottom left, and the
      ``.txt`` that describes it. Frames are as many as fill the montage, grey at its end.

    In films and movies two channels are green and blue, and one is all three; see `to_levels`.

    Args:
        stimulus: what to write.
        path: where.
        contrast: which contrast is the brightest grey level of a film or movie; what is beyond it is refused.

    Raises:
        UserError: if there is no such kind of file, a contrast is too high, or a film cannot be made here.
    """
    path = expand_path(path)
    writers: dict[str, Any] = {".npy": _write_npy, ".mp4": _write_mp4, ".png": _write_montage}
    if path.suffix not in writers:
        raise unknown("kind of stimulus file", path.suffix, writers)
    writers[path.suffix](stimulus, path, contrast)
    return path


def load_stimulus(path: str | Path, *, screen: Screen | None = None) -> Stimulus:
    """Read a stimulus from an ``.npy`` or ``.mp4`` file.

    Args:
        path: the file; what `save_stimulus` wrote beside it tells screen, events and parameters.
        screen: for files of others, which have nothing beside them.

    Raises:
        UserError: if the file is missing, damaged, or does not fit its screen.
    """
    path = expand_path(path)
    about = _read_about(path, screen)
    screen = about["screen"]
    if path.suffix == ".npy":
        frames = _read_npy(path)
    elif path.suffix == ".mp4":
        levels = _read_mp4(path, screen)[..., list(_places(screen))[: screen.channels]]
        frames = ((levels - _GREY) / _GREY * about["contrast"]).astype(np.float32).transpose(3, 0, 1, 2)
    else:
        raise unknown("kind of stimulus file", path.suffix, (".npy", ".mp4"))
    if frames.ndim != 4 or (frames.shape[0], *frames.shape[2:]) != (screen.channels, *screen.size):
        raise UserError(f"{path}: frames {frames.shape} do not fit the screen {screen}")
    return Stimulus(np.ascontiguousarray(frames), screen, about["events"], about["parameters"])


def to_levels(stimulus: Stimulus, *, contrast: float = 1.0) -> UInt8[np.ndarray, "time height width rgb"]:
    """Grey levels of 0 to 255 for a screen: contrast 0 is between 127 and 128, `contrast` is 255.

    One channel is red, green and blue alike, two are green and blue, three are all.

    Raises:
        UserError: if a contrast is too high for a grey level, or there are more than three channels.
    """
    highest = float(np.abs(stimulus.frames).max())
    if highest > contrast * (1 + 1e-6):
        raise UserError(
            f"the stimulus has contrasts up to {highest:.3g}, a screen shows up to contrast={contrast:g}: "
            "say contrast= to scale it, or make the stimulus weaker"
        )
    levels = np.rint(_GREY + _GREY / contrast * stimulus.frames).clip(0, 255).astype(np.uint8).transpose(1, 2, 3, 0)
    screen = np.zeros((*levels.shape[:3], 3), dtype=np.uint8)
    screen[..., list(_places(stimulus.screen))] = levels
    return screen


def _places(screen: Screen) -> tuple[int, ...]:
    if screen.channels not in RGB:
        raise UserError(f"a film has at most 3 channels, the stimulus has {screen.channels}: save it as .npy")
    return RGB[screen.channels]


def _write_npy(stimulus: Stimulus, path: Path, contrast: float) -> None:
    with replace_file(path) as temporary, temporary.open("wb") as file:
        np.save(file, stimulus.frames, allow_pickle=False)
    _write_about(stimulus, path, contrast)


def _write_mp4(stimulus: Stimulus, path: Path, contrast: float) -> None:
    levels = to_levels(stimulus, contrast=contrast)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", _size(stimulus.screen), "-r", str(stimulus.screen.rate)]
    exact = ["-c:v", "libx264rgb", "-crf", "0", "-f", "mp4"]
    with replace_file(path) as temporary:
        _ffmpeg([*raw, "-i", "-", *exact, "-y", str(temporary)], levels.tobytes())
    _write_about(stimulus, path, contrast)


def _write_montage(stimulus: Stimulus, path: Path, contrast: float) -> None:
    levels = to_levels(stimulus, contrast=contrast)
    time, height, width, _ = levels.shape
    columns = max(1, round((time * height / width) ** 0.5))
    rows = -(-time // columns)
    filled = np.full((rows * columns, height, width, 3), round(_GREY), dtype=np.uint8)
    filled[:time] = levels
    montage = filled.reshape(rows, columns, height, width, 3)[::-1].swapaxes(1, 2)
    with replace_file(path) as temporary:
        Image.fromarray(montage.reshape(rows * height, columns * width, 3)).save(temporary, format="png")
    description = {"FrWidth": width, "FrHeight": height, "FrCount": rows * columns, "isFirstFrBottomLeft": "True"}
    lines = [f"{name} = {value}" for name, value in description.items()]
    comment = f"Comment = {time} frames at {stimulus.screen.rate:g} Hz, pixels of {stimulus.screen.pixel_um:g} um"
    with replace_file(path.with_suffix(".txt")) as temporary:
        temporary.write_text("\n".join(["[QDSMovie2Description]", *lines, comment, ""]), encoding="ascii")


def _write_about(stimulus: Stimulus, path: Path, contrast: float) -> None:
    about = {
        "screen": asdict(stimulus.screen),
        "events": json.loads(stimulus.events.to_json(orient="records")),
        "parameters": stimulus.parameters,
        "contrast": contrast,
    }
    with replace_file(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")


def _read_about(path: Path, screen: Screen | None) -> dict[str, Any]:
    beside = path.with_suffix(".json")
    if not path.is_file():
        raise UserError(f"no stimulus at {path}: check the path")
    if screen is not None:
        return {"screen": screen, "events": pd.DataFrame(), "parameters": {}, "contrast": 1.0}
    try:
        about = json.loads(beside.read_text(encoding="utf-8"))
        made = Screen(**about["screen"] | {"size": tuple(about["screen"]["size"])})
        return about | {"screen": made, "events": pd.DataFrame(about["events"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: {beside.name} beside it is missing or damaged; give screen=Screen(...)") from None


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not an array that can be read ({error}): save or copy it again") from None


def _read_mp4(path: Path, screen: Screen) -> UInt8[np.ndarray, "time height width rgb"]:
    try:
        raw = _ffmpeg(["-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], b"")
        return np.frombuffer(raw, np.uint8).reshape(-1, *screen.size, 3)
    except (ValueError, subprocess.CalledProcessError):
        raise UserError(f"{path} is not a film of {_size(screen)} pixels: save or copy it again") from None


def _size(screen: Screen) -> str:
    return f"{screen.size[1]}x{screen.size[0]}"


def _ffmpeg(arguments: list[str], given: bytes) -> bytes:
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError:
        raise UserError("films need the package imageio-ffmpeg: pip install 'retina_nb[video]'") from None
    return subprocess.run([get_ffmpeg_exe(), *arguments], input=given, capture_output=True, check=True).stdout
