"""Which movies are meant by names, and what their tables are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_subpixel.errors import InputError
from napari_subpixel.runs.movie_lists import check_inputs_stay, find_movies, gather_movies, pair_outputs, sidecar_of
from napari_subpixel.stacks.folders import is_folder_of_frames
from napari_subpixel.stacks.tiff_pages import holds_one_frame

OME = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}</OME>'


def write_tiff(path: Path, frames: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, frames, photometric="minisblack", metadata=None)
    return path


def names(paths) -> list[str]:
    return [path.name for path in paths]


def write_ome(path: Path, body: str) -> Path:
    tifffile.imwrite(
        path, np.zeros((3, 8, 9), np.uint16), description=OME.format(body), metadata=None, photometric="minisblack"
    )
    return path


def image(*files: str) -> str:
    return "<Image>" + "".join(f'<TiffData><UUID FileName="{name}">u</UUID></TiffData>' for name in files) + "</Image>"


def test_movies_are_listed_as_people_number_them_and_other_files_left_out(tmp_path):
    for name in (
        "cell10.tif",
        "cell2.TIFF",
        "cell1.ome.tif",
        "big.btf",
        "a.csv",
        "notes.txt",
        ".cell3.tif",
        "x.tif.txt",
    ):
        (tmp_path / name).write_bytes(b"")
    zarr.save_array(tmp_path / "cell3.zarr", np.zeros((2, 3, 4)))
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "cell0.tif").write_bytes(b"")
    assert names(find_movies(tmp_path)) == ["big.btf", "cell1.ome.tif", "cell2.TIFF", "cell3.zarr", "cell10.tif"]
    assert names(find_movies(tmp_path, "cell?.*")) == ["cell1.ome.tif", "cell2.TIFF", "cell3.zarr"]
    assert "cell0.tif" in names(find_movies(tmp_path, "**/*.tif"))


def test_the_arrays_within_a_zarr_are_no_movies_of_their_own(tmp_path):
    zarr.open_group(tmp_path / "movie.zarr", mode="w").create_array("0", shape=(2, 3, 4), dtype="u2")
    assert find_movies(tmp_path, "**/*") == [tmp_path / "movie.zarr"]


def test_a_folder_without_movies_says_what_it_holds(tmp_path):
    (tmp_path / "table.csv").write_text("")
    with pytest.raises(InputError, match=r"no TIFF files and no Zarr named '\*' in this folder; it holds table.csv"):
        find_movies(tmp_path)
    (tmp_path / "table.csv").unlink()
    with pytest.raises(InputError, match=r"named 'cell\*' in this folder; it holds nothing"):
        find_movies(tmp_path, "cell*")


def test_what_is_no_folder_of_movies_is_refused(tmp_path):
    with pytest.raises(InputError, match="gone: no such folder"):
        find_movies(tmp_path / "gone")
    movie = write_tiff(tmp_path / "m.tif", np.zeros((2, 3, 4), np.uint16))
    with pytest.raises(InputError, match=r"m.tif: is not a folder"):
        find_movies(movie)
    zarr.save_array(tmp_path / "m.zarr", np.zeros((2, 3, 4)))
    with pytest.raises(InputError, match=r"m.zarr: is itself a movie"):
        find_movies(tmp_path / "m.zarr")


@pytest.mark.parametrize("pattern", ["", "/absolute/*.tif", "a**b", "x" * 300])
def test_a_pattern_that_is_none_is_refused(tmp_path, pattern):
    write_tiff(tmp_path / "m.tif", np.zeros((2, 3, 4), np.uint16))
    with pytest.raises(InputError):
        find_movies(tmp_path, pattern)


def test_an_ome_movie_in_several_files_is_listed_once(tmp_path):
    both = image("a.ome.tif", "a_1.ome.tif")
    write_ome(tmp_path / "a.ome.tif", both)
    write_ome(tmp_path / "a_1.ome.tif", both)
    write_ome(tmp_path / "b.ome.tif", image("b.ome.tif", "b_&amp;.ome.tif"))
    write_ome(tmp_path / "b_&.ome.tif", '<BinaryOnly MetadataFile="b.ome.tif" UUID="u"/>')
    (tmp_path / "c.companion.ome").write_text(OME.format(image("c_1.ome.tif", "c_2.ome.tif")))
    for name in ("c_1.ome.tif", "c_2.ome.tif"):
        write_ome(tmp_path / name, '<BinaryOnly MetadataFile="c.companion.ome" UUID="u"/>')
    assert names(find_movies(tmp_path)) == ["a.ome.tif", "b.ome.tif", "c_1.ome.tif"]


def test_an_ome_movie_in_several_files_is_listed_once_however_its_xml_is_written(tmp_path):
    """In single quotes and with spaces, as some writers have it, and a folder of another computer."""
    files = ("a.ome.tif", "C:\\data\\b&apos;s 1.ome.tif")
    blocks = (f"<TiffData><UUID FileName = '{name}'>u</UUID></TiffData>" for name in files)
    write_ome(tmp_path / "a.ome.tif", f"<Image>{''.join(blocks)}</Image>")
    write_ome(tmp_path / "b's 1.ome.tif", "<BinaryOnly UUID='u' MetadataFile='a.ome.tif'/>")
    assert names(find_movies(tmp_path)) == ["a.ome.tif"]


def test_of_several_positions_in_two_files_each_the_first_file_is_listed(tmp_path):
    """As microscopes write them: every file carries the XML of all positions."""
    positions = [("p0.ome.tif", "p0_1.ome.tif"), ("p1.ome.tif", "p1_1.ome.tif")]
    for name in sum(positions, ()):
        write_ome(tmp_path / name, "".join(image(*files) for files in positions))
    assert names(find_movies(tmp_path)) == ["p0.ome.tif", "p1.ome.tif"]


def test_files_that_name_each_other_do_not_all_vanish(tmp_path):
    """Two images share a file: each of the other two is listed by itself."""
    both = image("a.ome.tif", "b.ome.tif") + image("a.ome.tif", "c.ome.tif")
    for name in "abc":
        write_ome(tmp_path / f"{name}.ome.tif", both)
    assert names(find_movies(tmp_path)) == ["a.ome.tif", "c.ome.tif"]


def test_ome_movies_of_their_own_are_all_listed_whatever_they_are_called(tmp_path):
    """A renamed copy names the file it was; two images that one XML describes are two movies."""
    write_ome(tmp_path / "a.ome.tif", image("a.ome.tif"))
    write_ome(tmp_path / "copy.ome.tif", image("a.ome.tif"))
    positions = image("p0.ome.tif") + image("p1.ome.tif")
    for name in ("p0.ome.tif", "p1.ome.tif"):
        write_ome(tmp_path / name, positions)
    write_ome(tmp_path / "p2.ome.tif", '<BinaryOnly MetadataFile="p0.ome.tif" UUID="u"/>')
    write_ome(tmp_path / "p3.ome.tif", '<BinaryOnly MetadataFile="gone.ome.tif" UUID="u"/>')
    (tmp_path / "damaged.ome.tif").write_bytes(b"II*\0")
    assert len(find_movies(tmp_path)) == 7


def test_a_folder_of_single_frames_is_one_movie_and_any_other_holds_movies(tmp_path):
    for n in range(3):
        write_tiff(tmp_path / "frames" / f"img_{n}.tif", np.zeros((1, 8, 9), np.uint16))
        write_tiff(tmp_path / "mixed" / f"img_{n}.tif", np.zeros((1 + n, 8, 9), np.uint16))
    (tmp_path / "frames" / "img_3.tif").write_bytes(b"damaged")
    assert is_folder_of_frames(tmp_path / "frames")
    assert find_movies(tmp_path / "frames") == [tmp_path / "frames"]
    assert not is_folder_of_frames(tmp_path / "mixed")
    assert names(find_movies(tmp_path / "mixed")) == ["img_0.tif", "img_1.tif", "img_2.tif"]
    (tmp_path / "one").mkdir()
    assert not is_folder_of_frames(tmp_path / "one")


def test_frames_without_pages_of_their_own_are_recognised_by_the_size_of_the_file(tmp_path):
    page = write_tiff(tmp_path / "page.tif", np.zeros((1, 200, 210), np.uint16))
    assert holds_one_frame(page) is True
    page.write_bytes(page.read_bytes() + bytes(3 * 200 * 210 * 2))
    assert holds_one_frame(page) is False
    assert holds_one_frame(write_tiff(tmp_path / "two.tif", np.zeros((2, 8, 9), np.uint16))) is False
    assert holds_one_frame(tmp_path / "gone.tif") is None


@pytest.fixture
def typed(tmp_path, monkeypatch) -> Path:
    """A folder to type in: ``day1`` with two movies and a note, ``day2`` with a Zarr and a folder of frames."""
    monkeypatch.chdir(tmp_path)
    for name in ("day1/cell10.tif", "day1/cell2.tif", "loose.tif"):
        write_tiff(tmp_path / name, np.zeros((2, 8, 9), np.uint16))
    (tmp_path / "day1" / "notes.txt").write_text("")
    zarr.save_array(tmp_path / "day2" / "a.zarr", np.zeros((2, 3, 4)))
    for n in range(3):
        write_tiff(tmp_path / "day2" / "frames" / f"img_{n}.tif", np.zeros((1, 8, 9), np.uint16))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "movies"),
    [
        (["loose.tif"], ["loose.tif"]),
        (["day1"], ["day1/cell2.tif", "day1/cell10.tif"]),
        (["day2"], ["day2/a.zarr"]),
        (["day2/frames"], ["day2/frames"]),
        (["day2/a.zarr"], ["day2/a.zarr"]),
        (["day1/cell?.tif"], ["day1/cell2.tif"]),
        (["day2/*"], ["day2/a.zarr", "day2/frames"]),
        (["day*"], ["day1/cell2.tif", "day1/cell10.tif", "day2/a.zarr"]),
        (["**"], ["day1/cell2.tif", "day1/cell10.tif", "day2/a.zarr", "day2/frames", "loose.tif"]),
        (["loose.tif", "day1", "day1/*"], ["loose.tif", "day1/cell2.tif", "day1/cell10.tif"]),
        (["loose.subpixel.yaml", "loose.tif"], ["loose.tif"]),
        (["gone.tif", "day1/notes.txt"], ["gone.tif", "day1/notes.txt"]),
    ],
)
def test_names_may_be_those_of_movies_folders_and_patterns(typed, arguments, movies):
    assert [str(movie) for movie in gather_movies(arguments)] == movies


def test_a_folder_that_is_empty_is_kept_as_a_name(typed):
    (typed / "empty").mkdir()
    assert gather_movies(["empty", ""]) == ["empty", ""]


def test_a_file_goes_before_the_pattern_that_its_name_is_too(typed):
    write_tiff(typed / "cell[1].tif", np.zeros((2, 8, 9), np.uint16))
    assert gather_movies(["cell[1].tif"]) == ["cell[1].tif"]


def test_a_pattern_without_movies_is_refused(typed):
    with pytest.raises(InputError, match=r"day1/\*.txt: no movie has such a name"):
        gather_movies(["loose.tif", "day1/*.txt"])


def test_a_list_names_movies_folders_and_patterns_relative_to_itself(typed, monkeypatch):
    listed = typed / "day1" / "list.txt"
    listed.write_text("\ufeff# the good ones\n\ncell2.tif\n../day2\n../l*.tif\ngone.tif\n", encoding="utf-8")
    monkeypatch.chdir(typed / "day2")
    movies = ["cell2.tif", "a.zarr", "loose.tif", "gone.tif"]
    assert names(map(Path, gather_movies([f"@{listed}"]))) == movies
    listed.write_text("# none\n")
    with pytest.raises(InputError, match=r"list.txt: names no movies"):
        gather_movies([f"@{listed}"])
    with pytest.raises(InputError, match=r"gone.txt: no such list of movies"):
        gather_movies(["@gone.txt"])
    with pytest.raises(InputError, match=r"cell2.tif: is not a list of movies"):
        gather_movies(["@../day1/cell2.tif"])


@pytest.mark.parametrize(
    ("movie", "stem"),
    [
        ("cell.tif", "cell"),
        ("cell.1.tif", "cell.1"),
        ("cell.OME.TIF", "cell"),
        ("cell.ome.zarr", "cell"),
        ("cell.ome.zarr.zip", "cell"),
        ("cell.stk", "cell"),
        ("cell", "cell"),
    ],
)
def test_a_table_is_named_after_its_movie(movie, stem, tmp_path):
    ((same, table),) = pair_outputs([movie], tmp_path, "hdf5")
    assert same == movie
    assert table == tmp_path / f"{stem}.hdf5"


def test_a_folder_of_frames_keeps_the_dots_of_its_name(tmp_path):
    movies = [tmp_path / "2024.05.01", tmp_path / "2024.05.02", tmp_path / "a.1.zarr"]
    for movie in movies:
        movie.mkdir()
    assert names(t for _, t in pair_outputs(movies, "out")) == ["2024.05.01.csv", "2024.05.02.csv", "a.1.csv"]


def test_movies_that_would_become_one_table_are_refused():
    with pytest.raises(InputError, match=r"cell.csv: several movies would become this table"):
        pair_outputs(["a/cell.tif", "b/cell.ome.tif"], "tables")
    with pytest.raises(InputError, match="unknown format 'parqet'; did you mean 'parquet'"):
        pair_outputs(["a/cell.tif"], "tables", "parqet")


def test_what_is_read_is_never_written(tmp_path):
    pairs = pair_outputs([tmp_path / "cell.tif"], tmp_path, "hdf5")
    check_inputs_stay(pairs, also_read=[tmp_path / "camera.yaml"])
    with pytest.raises(InputError, match=r"cell.yaml: is an input"):
        check_inputs_stay(pairs, also_read=[tmp_path / "cell.yaml"])


def test_a_sidecar_is_named_after_the_movie_and_lies_next_to_it(tmp_path, monkeypatch):
    assert sidecar_of("a/cell.1.ome.tif") == Path("a/cell.1.subpixel.yaml")
    (tmp_path / "2024.05").mkdir()
    assert sidecar_of(tmp_path / "2024.05") == tmp_path / "2024.05.subpixel.yaml"
    monkeypatch.chdir(tmp_path / "2024.05")
    assert sidecar_of(".") == tmp_path / "2024.05.subpixel.yaml"


def test_an_ome_movie_of_which_all_files_are_named_is_one_movie_called_after_the_first(tmp_path):
    files = ["m.ome.tif", "m_1.ome.tif", "m_2.ome.tif"]
    for name in files:
        write_ome(tmp_path / name, image(*files))
    write_tiff(tmp_path / "other.tif", np.zeros((3, 8, 9), np.uint16))
    typed = [str(tmp_path / name) for name in ("m_2.ome.tif", "other.tif", "m.ome.tif", "m_1.ome.tif")]
    assert gather_movies(typed) == [typed[2], typed[1]]
    assert gather_movies(typed[:1]) == typed[:1]
