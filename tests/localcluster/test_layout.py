import tempfile
from pathlib import Path

import pytest

import layout
from console import ProblemError


def test_it_is_machine_wide_unless_told_otherwise() -> None:
    found = layout.from_environment({"HOME": "/home/ann"})
    assert str(found.state) == layout.DEFAULT_STATE
    assert found.cache == Path("/home/ann/.cache/modeldata")
    assert found.named_programs is None


def test_the_environment_moves_everything() -> None:
    found = layout.from_environment(
        {"LOCALCLUSTER_STATE": "/srv/one/two", "XDG_CACHE_HOME": "/srv/cache", "LOCALCLUSTER_BIN": "/srv/bin"}
    )
    assert found.state == Path("/srv/one/two")
    assert found.cache == Path("/srv/cache/modeldata")
    assert found.named_programs == Path("/srv/bin")


def test_a_linked_state_directory_is_called_by_its_real_name() -> None:
    with tempfile.TemporaryDirectory() as directory:  # pytest's own are too long to be a state directory
        link = Path(directory, "link")
        link.symlink_to(Path(directory, "real"))
        found = layout.from_environment({"LOCALCLUSTER_STATE": str(link)})
        assert found.state == Path(directory, "real").resolve(), "mounts are listed by it"


def test_a_state_directory_too_long_for_sockets_is_refused() -> None:
    with pytest.raises(ProblemError, match="too long by 3 characters"):
        layout.from_environment({"LOCALCLUSTER_STATE": "/srv/" + "x" * (layout.LONGEST_STATE - 5 + 3)})


@pytest.mark.parametrize("state", ["/srv/with space", "/srv", "/", "/srv/a{b}"])
def test_a_state_directory_that_configurations_could_misread_is_refused(state: str) -> None:
    with pytest.raises(ProblemError, match="can't be used"):
        layout.from_environment({"LOCALCLUSTER_STATE": state})


def test_a_file_is_written_whole_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    layout.write(path, "one", 0o600)
    layout.write(path, "two", 0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
