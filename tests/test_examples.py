"""The examples in docstrings of what people call first: each runs, and gives what it says."""

import doctest

import pytest

import retina_nb as rnb

FUNCTIONS = (
    "audit",
    "build_twin",
    "datasets",
    "evaluate",
    "fit",
    "load_recordings",
    "load_twin",
    "predict",
    "presets",
    "select_neurons",
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_runs_and_gives_what_it_says(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    example = doctest.DocTestParser().get_doctest(getattr(rnb, name).__doc__, {}, name, None, None)
    assert 2 <= len(example.examples) <= 6
    told: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(example, out=told.append)
    assert told == []
