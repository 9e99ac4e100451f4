import threading

import pytest
from filelock import FileLock

from retina_nb.loaders import cache
from retina_nb.loaders.cache import keep, one_at_a_time


def test_what_is_kept_is_there_and_no_lock_stays(tmp_path):
    path = tmp_path / "cache" / "a.txt"
    with one_at_a_time(path):
        keep(path, lambda temporary: temporary.write_text("a"))
    assert path.read_text() == "a"
    assert [one.name for one in path.parent.iterdir()] == ["a.txt"]


def test_what_cannot_be_kept_is_a_warning_that_names_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match=r"not kept in the cache: cannot write .*/file: .*; set RETINA"):
        keep(tmp_path / "file" / "a.txt", lambda temporary: temporary.write_text("a"))


def test_an_error_of_ones_own_is_not_a_warning(tmp_path):
    with pytest.raises(ZeroDivisionError):
        keep(tmp_path / "a.txt", lambda _: 1 / 0)


def test_one_waits_for_the_other(tmp_path):
    order, inside, go_on = [], threading.Event(), threading.Event()

    def first():
        with one_at_a_time(tmp_path / "a"):
            inside.set()
            go_on.wait(10)
            order.append("first")

    def second():
        with one_at_a_time(tmp_path / "a"):
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "second"]


def test_nobody_waits_forever_for_one_that_was_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_PATIENCE", 0.1)
    with FileLock(tmp_path / ".a.lock"), one_at_a_time(tmp_path / "a"):
        pass


def test_where_there_can_be_no_lock_nobody_waits(tmp_path):
    (tmp_path / "file").write_text("")
    with one_at_a_time(tmp_path / "file" / "a"):
        pass
