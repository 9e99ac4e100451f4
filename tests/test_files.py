import pytest

import retina_nb as rnb
from retina_nb.files import replace_file


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with pytest.raises(ZeroDivisionError), replace_file(path) as temporary:
        temporary.write_text(f"half{1 / 0}")
    assert list(path.parent.iterdir()) == []
    with replace_file(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [one.name for one in path.parent.iterdir()] == ["file.txt"]


def test_an_old_file_survives_a_failed_write(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replace_file(path):
        raise RuntimeError
    assert path.read_text() == "old"


def test_a_folder_is_not_written_over(tmp_path):
    with pytest.raises(rnb.UserError, match="it is a folder; give the name of a file"), replace_file(tmp_path):
        pass
