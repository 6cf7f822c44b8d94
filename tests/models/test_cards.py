"""Models on disk: what is shipped, and what is refused."""

from __future__ import annotations

import shutil

import pytest
import torch
import yaml

from napari_subpixel._util.user_folder import user_folder
from napari_subpixel.errors import InputError
from napari_subpixel.models import SHIPPED, find, installed, load_model, path_for, read_card, save_model, shipped
from napari_subpixel.models.input_scaling import Optics, counts
from napari_subpixel.models.pixel_network import PointNetwork
from napari_subpixel.models.unet import UNet


@pytest.fixture
def saved(tmp_path):
    """A small model on disk; returns the path of its weights."""
    path = tmp_path / "mine.safetensors"
    save_model(path, PointNetwork(width=4), name="mine", summary="small", input_scaling="minmax", threshold=0.2)
    return path


def edit_card(path, **changes) -> None:
    card = path.with_suffix(".yaml")
    document = yaml.safe_load(card.read_text())
    document["model"].update(changes)
    card.write_text(yaml.safe_dump(document))


def test_the_paper_model_is_shipped_with_a_complete_card():
    card = next(c for c in installed() if c.name == "paper")
    assert card.threshold == 0.1
    assert card.network == {"n_points": 2, "n_classes": 1, "width": 32}
    for part in (card.summary, card.camera, card.psf, card.training, card.figures, card.limits):
        assert part


def test_the_model_for_many_microscopes_measures_and_knows_its_domain():
    card = next(c for c in installed() if c.name == "default")
    assert card.input_scaling == "counts"
    assert card.domain["sigma_px"] == [0.8, 2.0]
    for part in (card.summary, card.training, card.figures, card.limits):
        assert part


def test_all_shipped_models_load_and_stay_small():
    for card in shipped():
        assert load_model(card.name).card == card
    assert sum(f.stat().st_size for f in SHIPPED.iterdir() if f.is_file()) < 40 * 2**20


def test_what_is_saved_is_loaded(tmp_path):
    network = PointNetwork(n_points=3, width=4).eval()
    network.standardise(0.1, 0.3)
    path = tmp_path / "mine.safetensors"
    written = save_model(path, network, name="mine", summary="s", input_scaling="minmax", threshold=0.2)
    model = load_model(path)
    assert model.card == written == read_card(path)
    image = torch.rand(1, 1, 9, 8)
    with torch.no_grad():
        assert torch.equal(model.network(image).logits, network(image).logits)


def test_half_precision_halves_the_file_and_hardly_moves_a_point(tmp_path, rng):
    torch.manual_seed(0)
    network = UNet(width=8).eval()
    for half in (False, True):
        save_model(tmp_path / f"{half}.safetensors", network, half_precision=half, name="m", summary="s",
                   input_scaling="counts", threshold=0.5)  # fmt: skip
    sizes = [(tmp_path / f"{half}.safetensors").stat().st_size for half in (False, True)]
    assert sizes[1] < 0.6 * sizes[0]
    frames = torch.from_numpy(counts(rng.poisson(50.0, (2, 20, 24)), Optics(1.2)))
    with torch.no_grad():
        whole, half = (load_model(tmp_path / f"{half}.safetensors").network(frames) for half in (False, True))
    assert (whole.offsets - half.offsets).abs().max() < 0.005
    assert next(load_model(tmp_path / "True.safetensors").network.parameters()).dtype == torch.float32


def test_a_model_is_found_by_name_by_weights_and_by_card(saved):
    assert find("paper") == SHIPPED / "paper.safetensors"
    assert find(saved) == find(str(saved)) == find(saved.with_suffix(".yaml")) == saved


def test_an_unknown_model_is_refused_with_what_there_is():
    with pytest.raises(InputError, match=r"papr: no such model; did you mean 'paper'\?; installed: .*paper"):
        find("papr")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"x" * 100])
def test_a_file_that_is_no_model_is_refused(saved, content):
    saved.write_bytes(content)
    with pytest.raises(InputError, match=r"mine.safetensors: not a model: expected safetensors, first bytes are b'"):
        load_model(saved)


def test_weights_that_differ_from_their_card_are_refused(saved, tmp_path):
    other = tmp_path / "other.safetensors"
    save_model(other, PointNetwork(width=4), name="other", summary="s", input_scaling="minmax", threshold=0.2)
    shutil.copy(other, saved)
    with pytest.raises(InputError, match="the weights differ from their card"):
        load_model(saved)


def test_weights_of_another_network_are_refused(saved):
    edit_card(saved, network={"n_points": 2, "n_classes": 1, "width": 5})
    with pytest.raises(InputError, match="do not fit the card's network"):
        load_model(saved)
    edit_card(saved, network={"n_pints": 2})
    with pytest.raises(InputError, match="do not fit the card's network"):
        load_model(saved)


@pytest.mark.parametrize(
    ("network", "message"),
    [({"kind": ["x"]}, "must be of kind"), ({"n_points": 2, "width": 2**31}, "a size of 2,147,483,648")],
)
def test_a_card_with_a_network_that_there_is_none_of_is_refused_at_once(saved, network, message):
    edit_card(saved, network=network)
    with pytest.raises(InputError, match=message):
        load_model(saved)


def test_a_model_without_its_card_is_refused(saved):
    saved.with_suffix(".yaml").unlink()
    with pytest.raises(InputError, match=r"mine.yaml: no such file"):
        load_model(saved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"treshold": 0.1}, r"unknown field 'treshold'; did you mean 'threshold'\?"),
        ({"threshold": 2}, "above 0 and below 1, got 2"),
        ({"input_scaling": "zscore"}, "input_scaling must be one of minmax"),
        ({"camera": {"basline": 1}}, "did you mean 'baseline'"),
        ({"psf": {"sigma_nm": -1}}, "sigma_nm must be positive"),
        ({"figures": "good"}, "figures must list fields"),
    ],
)
def test_a_card_with_misspelt_or_impossible_fields_is_refused(saved, changes, message):
    edit_card(saved, **changes)
    with pytest.raises(InputError, match=message):
        load_model(saved)


def test_an_existing_model_is_not_replaced_unless_asked(saved):
    card = {"name": "mine", "summary": "s", "input_scaling": "minmax", "threshold": 0.2}
    with pytest.raises(InputError, match="exists already"):
        save_model(saved, PointNetwork(width=4), **card)
    save_model(saved, PointNetwork(width=4), overwrite=True, **card)


def test_weights_need_their_suffix(tmp_path):
    with pytest.raises(InputError, match=r"end in .safetensors"):
        save_model(tmp_path / "m.pt", PointNetwork(), name="m", summary="s", input_scaling="minmax", threshold=0.2)


def test_a_model_of_another_version_says_so(saved):
    edit_card(saved, program="napari-subpixel 99.0", attention=True)
    with pytest.raises(InputError, match=r"unknown field 'attention'.* \(written by napari-subpixel 99.0, this is nap"):
        read_card(saved)
    document = yaml.safe_load(saved.with_suffix(".yaml").read_text())
    del document["model"]["attention"]
    saved.with_suffix(".yaml").write_text(yaml.safe_dump(document))
    edit_card(saved, network={"kind": "transformer"})
    with pytest.raises(
        InputError, match=r"kind points, unet, heatmap, deep-storm, got 'transformer' \(written by napari-subpixel 99.0"
    ):
        load_model(saved)


# -- models of one's own ------------------------------------------------------------------------------------------


def save_own(name: str) -> None:
    save_model(path_for(name), PointNetwork(width=4), name=name, summary="s", input_scaling="minmax", threshold=0.2)


def test_a_model_of_ones_own_goes_by_its_name():
    save_own("our STORM")
    assert find("our STORM").parent == user_folder("models")
    assert load_model("our STORM").card.threshold == 0.2
    assert [card.name for card in installed()] == [*(card.name for card in shipped()), "our STORM"]
    with pytest.raises(InputError, match=r"did you mean 'our STORM'\?"):
        find("our STOM")


def test_a_path_stays_a_path_and_a_name_must_be_free_and_that_of_a_file(tmp_path):
    assert path_for(str(tmp_path / "a.safetensors")) == tmp_path / "a.safetensors"
    assert path_for("a.safetensors").name == "a.safetensors"
    with pytest.raises(InputError, match="'Paper' is a model that comes with the program"):
        path_for("Paper")
    with pytest.raises(InputError, match="model name 'a:b'"):
        path_for("a:b")
    assert not user_folder("models").exists()


def test_a_model_of_ones_own_that_cannot_be_used_is_left_out_with_a_warning():
    save_own("good")
    save_own("bad")
    edit_card(find("bad"), threshold=7)
    with pytest.warns(UserWarning, match=r"bad.yaml: .*got 7; this model is left out"):
        assert [card.name for card in installed()][-1] == "good"


def test_a_shipped_model_is_not_hidden_by_one_of_the_same_name():
    save_own("mine")
    for file in user_folder("models").glob("mine.*"):
        file.rename(file.with_stem("paper"))
    assert find("paper").parent == SHIPPED
    with pytest.warns(UserWarning, match="comes with the program has the name 'paper'"):
        assert len(installed()) == len(shipped())
