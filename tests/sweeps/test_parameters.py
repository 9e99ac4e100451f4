"""Which runs a sweep has, from what is written in a shell and in files."""

import pytest

from retina_nb.errors import UserError
from retina_nb.sweeps.parameters import combined, grid_from_words, read_sets, varying


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("seed=0,1,2", {"seed": [0, 1, 2]}),
        ("preset=a,b", {"preset": ["a", "b"]}),
        ("rate=1e-3, 0.1", {"rate": [1e-3, 0.1]}),
        ("seed=3", {"seed": [3]}),
        ("sizes=[5,7],[7,9]", {"sizes": [[5, 7], [7, 9]]}),
        ("sizes=[5,7]|[7,9]", {"sizes": [[5, 7], [7, 9]]}),
        ("name='a,b','c|d'", {"name": ["a,b", "c|d"]}),
        ("settings={seed: 1, size: [5, 7]}|{}", {"settings": [{"seed": 1, "size": [5, 7]}, {}]}),
        ("name=a,b|c", {"name": ["a,b", "c"]}),
        ("flag=true,null", {"flag": [True, None]}),
        (
            "overrides=[core.channels=[8,8]]|[core.channels=[16,16],+core.bias=true]",
            {"overrides": [["core.channels=[8,8]"], ["core.channels=[16,16]", "+core.bias=true"]]},
        ),
        ("overrides=[]|['core.channels=[8, 8]']", {"overrides": [[], ["core.channels=[8, 8]"]]}),
    ],
)
def test_a_grid_in_a_shell(word, expected):
    assert grid_from_words([word], {}) == expected


def test_values_of_a_grid_are_text_where_the_default_is(tmp_path):
    defaults = {"session": "", "flag": True, "rate": 0.1}
    words = ["session=20210713_1, 01|no", "flag=no,true", "rate=inf,-1e-3"]
    expected = {"session": ["20210713_1, 01", "no"], "flag": [False, True], "rate": [float("inf"), -1e-3]}
    assert grid_from_words(words, defaults) == expected
    assert grid_from_words(["session=01,'a,b',,"[:-2]], defaults) == {"session": ["01", "a,b"]}
    for text in ("session: [01, no]\n", "- session: 01\n- session: no\n"):
        (tmp_path / "sweep.yaml").write_text(text)
        assert read_sets(tmp_path / "sweep.yaml", defaults) == [{"session": "01"}, {"session": "no"}]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["seed"], "'seed' is no line of a grid: write it as name=value,value"),
        (["seed="], "no line of a grid"),
        (["seed=0,,1"], "no line of a grid"),
        (["=1"], "no line of a grid"),
        (["seed=0", "seed=1"], "seed is in the grid twice"),
        (["sizes=[1,[2|3"], "the value .* of sizes is not YAML"),
    ],
)
def test_what_is_no_grid_is_refused(words, complaint):
    with pytest.raises(UserError, match=complaint):
        grid_from_words(words, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- seed: 0\n  rate: 1e-3\n- preset: b\n", [{"seed": 0, "rate": 1e-3}, {"preset": "b"}]),
        ("seed: [0, 1]\npreset: [a]\n", [{"seed": 0, "preset": "a"}, {"seed": 1, "preset": "a"}]),
    ],
)
def test_sets_in_a_file(tmp_path, text, expected):
    (tmp_path / "sweep.yaml").write_text(text)
    assert read_sets(tmp_path / "sweep.yaml", {}) == expected


@pytest.mark.parametrize("text", ["seed: 0", "- 1", "", "[]", "seed: []", "seed"])
def test_a_file_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(UserError, match=r"sweep\.yaml must have sets of parameters"):
        read_sets(tmp_path / "sweep.yaml", {})


def test_every_set_meets_every_point_of_the_grid():
    found = combined({"rate": 1.0}, {"seed": [0, 1], "size": [5, 7]}, [{"preset": "a"}, {"preset": "b"}])
    assert len(found) == 8
    assert {(one["rate"], one["seed"], one["size"], one["preset"]) for one in found} == {
        (1.0, seed, size, preset) for seed in (0, 1) for size in (5, 7) for preset in "ab"
    }
    assert varying(found) == ["preset", "seed", "size"]
    assert combined({"rate": 1.0}, {}, []) == [{"rate": 1.0}]


@pytest.mark.parametrize(
    ("parameters", "grid", "sets"),
    [({"seed": 0}, {"seed": [1]}, []), ({"seed": 0}, {}, [{"seed": 1}]), ({}, {"seed": [0]}, [{"seed": 1}])],
)
def test_a_parameter_has_one_source(parameters, grid, sets):
    with pytest.raises(UserError, match="seed is given twice"):
        combined(parameters, grid, sets)


@pytest.mark.parametrize("values", [[], "abc"])
def test_a_grid_has_lists(values):
    with pytest.raises(UserError, match="must have a list of values for seed"):
        combined({}, {"seed": values}, [])
