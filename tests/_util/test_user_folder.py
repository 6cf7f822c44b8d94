"""Where the user's own files are."""

from __future__ import annotations

from pathlib import Path

from napari_subpixel._util.user_folder import CONFIG, made_user_folder, user_folder


def test_the_folder_is_the_users_unless_the_environment_names_another(tmp_path, monkeypatch):
    monkeypatch.setenv(CONFIG, str(tmp_path))
    assert user_folder("cameras") == tmp_path / "cameras"
    monkeypatch.setenv(CONFIG, "~/mine")
    assert user_folder("models") == Path.home() / "mine" / "models"
    monkeypatch.delenv(CONFIG)
    assert user_folder("cameras").name == "cameras"
    assert "napari-subpixel" in user_folder("cameras").parts


def test_the_folder_is_made_when_something_is_to_be_kept(tmp_path, monkeypatch):
    monkeypatch.setenv(CONFIG, str(tmp_path / "new"))
    assert not user_folder("models").exists()
    assert made_user_folder("models").is_dir()
