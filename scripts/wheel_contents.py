"""Check that a wheel carries every file of the package's folder: python scripts/wheel_contents.py PACKAGE WHEEL."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def main(package: str, wheel: str) -> str | None:
    """Return what is wrong, or None."""
    folder = Path(package)
    wanted = {path.as_posix() for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    there = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(f"{package}/")}
    weights = sum(name.endswith(".safetensors") for name in there)
    print(f"{Path(wheel).name}: {len(there)} files of {package}, {weights} of them weights of models")
    if missing := wanted - there:
        return f"not in the wheel: {', '.join(sorted(missing))}"
    if foreign := there - wanted:
        return f"in the wheel, but not in {package}: {', '.join(sorted(foreign))}"
    if f"{package}/napari.yaml" not in there:
        return "the manifest napari.yaml is not in the wheel"
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
