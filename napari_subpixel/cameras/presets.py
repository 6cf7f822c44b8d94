"""Cameras by name: the shipped ones, with the data sheets' typical values, and the user's own."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from napari_subpixel._util.user_folder import checked_file_name, made_user_folder, user_folder
from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError, suggest

#: Folder of the shipped cameras; each file says where its numbers come from.
SHIPPED = Path(__file__).parent
#: Suffix of a camera file.
SUFFIX = ".yaml"
#: Name of the folder of the user's own cameras, with one camera file for each.
KIND = "cameras"


def all_presets() -> dict[str, Camera]:
    """Return every camera by its name, the shipped ones first.

    A user's camera file that cannot be used is left out, with a warning that names it and says why.
    """
    own, problems = _user_presets()
    for problem in problems:
        warnings.warn(f"{problem}; this camera is left out", stacklevel=2)
    return {name: camera for name, (_, camera) in (_shipped() | own).items()}


def camera_files() -> dict[str, Path]:
    """Return the file of every camera by its name, in the order of `all_presets`; `is_shipped` says whose each is."""
    own, _ = _user_presets()
    return {name: path for name, (path, _) in (_shipped() | own).items()}


def is_shipped(path: Path) -> bool:
    """Say whether a camera file came with the program, and is not the user's own."""
    return path.parent == SHIPPED


def preset(name: str) -> Camera:
    """Return the camera of this name.

    Raises
    ------
    InputError
        If there is none; the message lists the names and suggests the closest.
    """
    return _preset(name)[1]


def preset_file(name: str) -> Path:
    """Return the file of the camera of this name, or raise `InputError` as `preset` does."""
    return _preset(name)[0]


def save_preset(camera: Camera) -> Path:
    """Save a camera among the user's own, in place of an earlier one of the same name.

    Returns
    -------
    Path
        The camera file; maps go to .npy files next to it.

    Raises
    ------
    InputError
        If the camera has no name, one that cannot be a file's name or that of a shipped camera, or cannot be written.
    """
    name = checked_file_name("camera", camera.name)
    if _is_shipped(name):
        raise InputError(f"{name!r} is a shipped camera; give yours another name")
    own, _ = _user_presets()
    path = own[name][0] if name in own else made_user_folder(KIND) / f"{name}{SUFFIX}"
    camera.to_yaml(path)
    return path


def _shipped() -> dict[str, tuple[Path, Camera]]:
    cameras = [(path, Camera.from_yaml(path)) for path in sorted(SHIPPED.glob(f"*{SUFFIX}"))]
    return {camera.name: (path, camera) for path, camera in cameras}


def _user_presets() -> tuple[dict[str, tuple[Path, Camera]], list[str]]:
    """Return the user's own cameras, and what is wrong with the files that cannot be used."""
    own: dict[str, tuple[Path, Camera]] = {}
    problems = []
    for path in sorted(user_folder(KIND).glob(f"[!.]*{SUFFIX}")):
        try:
            camera = Camera.from_yaml(path)
            name = camera.name or path.stem
            if name in own or _is_shipped(name):
                raise InputError(f"{path}: another camera has the name {name!r}")
        except InputError as error:
            problems.append(str(error))
            continue
        own[name] = path, replace(camera, name=name)
    return own, problems


def _preset(name: str) -> tuple[Path, Camera]:
    own, problems = _user_presets()
    known = _shipped() | own
    for key, found in known.items():
        if key.casefold() == name.casefold():
            return known.get(name, found)
    left_out = f"; left out: {'; '.join(problems)}" if problems else ""
    raise InputError(f"no camera {name!r}{suggest(name, known)}; there are {', '.join(known)}{left_out}")


def _is_shipped(name: str) -> bool:
    return name.casefold() in {shipped.casefold() for shipped in _shipped()}
