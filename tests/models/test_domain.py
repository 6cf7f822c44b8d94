"""The ranges that a model is made for."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.errors import InputError
from napari_subpixel.models.domain import Domain, draw_log_uniform


def test_what_lies_outside_is_returned_as_text():
    domain = Domain()
    assert domain.outside(sigma_px=1.0, photons=500.0, background=20.0, density_per_px=0.0) == []
    assert domain.outside(sigma_px=0.5, density_per_px=0.3) == [
        "PSF: sigma 0.5 px is below 0.8",
        "density: 0.3 molecules a pixel is above 0.12",
    ]


def test_a_domain_survives_its_dictionary():
    domain = Domain(photons=(100, 5000))
    assert Domain.from_dict(domain.to_dict()) == domain


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"photons": (1, 2, 3)}, "photons must be a lowest and a highest value"),
        ({"photons": 5}, "photons must be a lowest and a highest value, got 5"),
        ({"sigma_px": (2, 1)}, "sigma_px must go up from 0 or more, got 2 to 1"),
        ({"background": (0, 1)}, "background must be positive, got 0"),
        ({"photns": (1, 2)}, "unknown field 'photns'; did you mean 'photons'"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Domain.from_dict(values)


def test_numbers_are_drawn_evenly_in_their_logarithm(rng):
    drawn = np.log10(draw_log_uniform(rng, (1.0, 1000.0), 20_000))
    assert 0 <= drawn.min() < drawn.max() <= 3
    assert (drawn < 1.5).mean() == pytest.approx(0.5, abs=0.02)
