"""The wheel: exactly `ufm` in site-packages, small, and complete: it proves, solves and draws away from a checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ufm

ROOT = Path(ufm.__file__).parent.parent
pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="not a checkout: there is nothing to build"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_it_holds_exactly_one_package_and_no_rubbish(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"ufm", "ufm-0.1.0.dist-info"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".ipynb_checkpoints"))]
    assert wheel.stat().st_size < 10e6
    assert "ufm/_share/derivations/class_encoding.py" in names
    assert "ufm/_share/numerics/campaigns/class_encoding.toml" in names
    assert "ufm/theorems/references.bib" in names
    assert "ufm/py.typed" in names


def test_it_works_in_an_empty_directory(wheel, tmp_path):
    """Unpacked elsewhere, in front of everything on the path: proofs, campaigns, records and figures are found."""
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import ufm\n"
        "assert ufm.__file__.startswith(sys.argv[1]), ufm.__file__\n"
        "from ufm.share import locate\n"
        "assert str(locate('derivations')).startswith(sys.argv[1])\n"
        "assert str(ufm.check('class_encoding:bias_invariant', samples=4).verdict) == 'proved'\n"
        "from pathlib import Path\n"
        "from ufm.figure import save\n"
        "print(*save('class-encoding', Path('.')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(site)], capture_output=True, text=True, cwd=empty, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (empty / "class-encoding.svg").stat().st_size > 10_000
