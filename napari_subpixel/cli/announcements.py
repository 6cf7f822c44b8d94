"""What ``detect`` says of a movie before its first frame: estimates, what does not fit, and the flags of both."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_subpixel._util.command_text import flag
from napari_subpixel.cli.common import without_pixel_size
from napari_subpixel.cli.messages import say, warn
from napari_subpixel.cli.record_flags import flags_of
from napari_subpixel.errors import InputError

if TYPE_CHECKING:
    from napari_subpixel.detection.job import DetectionJob
    from napari_subpixel.runs.batch import MovieProgress

#: Numbers of a camera whose flags are shown though they are the defaults: else they would be estimated.
ALWAYS = ("baseline", "electrons_per_adu")


class Announcements:
    """What was said of movies before their first frame, which is not said again at the end.

    Parameters
    ----------
    save_to : Path, optional
        Where the camera is written.
    overwrite : bool
        Whether that may be there.
    camera_file : Path, optional
        Where the camera was read from: its maps go by this file.
    """

    def __init__(self, save_to: Path | None, overwrite: bool, camera_file: Path | None = None) -> None:
        self.save_to, self.overwrite, self.camera_file = save_to, overwrite, camera_file
        self.lines: set[str] = set()
        self._movies: set[Path] = set()
        self._misfits: dict[Path, list[str]] = {}

    def announce(self, at: MovieProgress) -> None:
        """Say what was estimated of the microscope, and where what was given does not fit; write the camera file."""
        from napari_subpixel.runs.quality_warnings import early_warnings

        job = at.job
        if job is None or at.movie in self._movies:
            return
        self._movies.add(at.movie)
        name = at.movie.name
        for what in job.assumed:
            self.say(f"{name}: {what}")
        warnings = [f"{job.stack.name}: {warning}" for warning in early_warnings(job)]
        for warning in warnings:
            self.warn(warning)
        if notice := without_pixel_size(at.output, job.pixel_size_nm):
            self.warn(notice)
        self._misfits[at.movie] = [line for line in warnings if "the movie looks like" in line]
        if job.suggested_camera is not None or job.suggested_sigma_px is not None:
            say(f"{name}: what the movie looks like, as flags: {self._suggested(job)}")
        elif job.has_estimates:
            say(f"{name}: as flags: {self._flags(job)}")
        if self.save_to is not None:
            self._save(job, self.save_to)

    def say(self, line: str) -> None:
        """Say a line, unless it was said before."""
        if line not in self.lines:
            say(line)
        self.lines.add(line)

    def warn(self, line: str) -> None:
        """Warn, unless of the same before."""
        if line not in self.lines:
            warn(line)
        self.lines.add(line)

    def repeat_misfits(self, movie: Path) -> None:
        """Warn again that the given camera or PSF does not fit, which spoils the table that was just written."""
        for line in self._misfits.get(movie, ()):
            warn(f"{line}, and the table was made with it")

    def _suggested(self, job: DetectionJob) -> str:
        """Return the flags that fit the movie, in place of what was given and does not."""
        from napari_subpixel.detection.job import FROM_MOVIE

        fitting = replace(
            job, camera=job.suggested_camera or job.camera, sigma_px=job.suggested_sigma_px or job.sigma_px
        )
        if any(what.startswith(FROM_MOVIE) for what in job.assumed):
            fitting = replace(fitting, molecule_photons=0.0)  # which rests on what does not fit
        return self._flags(fitting)

    def _flags(self, job: DetectionJob) -> str:
        """Return the flags that give the camera, the pixel size, the PSF and the brightness of a job."""
        camera = replace(job.camera, pixel_size_nm=job.pixel_size_nm)
        default = type(camera)()
        texts = []
        if self.camera_file is not None and camera.map_shape is not None:
            texts.append(f"--camera {shlex.quote(str(self.camera_file))}")
        for name in flags_of(camera):
            value = getattr(camera, name)
            if not isinstance(value, np.ndarray) and (name in ALWAYS or value != getattr(default, name)):
                texts.append(f"{flag(name)} {_text(value)}")
        if (sigma_nm := _sigma_nm(job)) is not None:
            texts.append(f"--psf-sigma-nm {_text(sigma_nm)}")
        # An estimate from spots that are not round is made again: given, it would join their fragments.
        if job.molecule_photons and (job.joins_fragments or job.spots_round):
            texts.append(f"--molecule-photons {_text(job.molecule_photons)}")
        return " ".join(texts)

    def _save(self, job: DetectionJob, path: Path) -> None:
        from napari_subpixel._util import records
        from napari_subpixel.calibration.microscope import ASSUMED_PSF
        from napari_subpixel.camera import GAIN
        from napari_subpixel.psf import GaussianPSF

        if job.camera_is_assumed:
            raise InputError(
                f"{path}: not written: the movie {job.stack.name} does not show the camera's gain; give it"
            )
        if self.overwrite:
            path.unlink(missing_ok=True)
        camera = replace(job.camera, pixel_size_nm=job.pixel_size_nm)
        camera.to_yaml(path)
        # A baseline of 0 is given in the file, and not left to be estimated.
        given = {name: value for name in GAIN if not np.ndim(value := getattr(camera, name))}
        records.write_section(path, "camera", {**given, **records.read_section(path, "camera")})
        if (sigma_nm := _sigma_nm(job)) is not None and not any(what.startswith(ASSUMED_PSF) for what in job.assumed):
            GaussianPSF(sigma_nm).to_yaml(path)
        say(f"{path}: written")


def _sigma_nm(job: DetectionJob) -> float | None:
    from napari_subpixel.psf import sigma_in_nm

    size, sigma_px = job.pixel_size_nm, job.sigma_px
    return None if size is None or sigma_px is None else sigma_in_nm(sigma_px, size)


def _text(value: float | tuple[float, float]) -> str:
    """Return a number, or both of a pair, in as few digits as give it back exactly."""
    if isinstance(value, tuple):
        return ",".join(_text(each) for each in value)
    short = f"{value:.6g}"
    return short if float(short) == value else repr(float(value))
