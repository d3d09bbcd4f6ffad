"""Axes, grids, random settings and files of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.sweep.axes import Range, SpaceError, drawn, grid, parse_axes, read_settings

AXES = {
    "activation.banks": (8, 16, 32),
    "array.rows": Range(4, 64),
    "dram.pj_per_bit": Range(4, 20.0),
}


def test_axes_are_read_as_yaml_reads_them() -> None:
    axes = parse_axes(
        ["array.feed=broadcast,systolic", "array.reshape=[],[[32, 8], [8, 32]]", "array.rows=4..64",
         "dram.pj_per_bit=0.5..8"]
    )  # fmt: skip
    assert axes == {
        "array.feed": ["broadcast", "systolic"],
        "array.reshape": [[], [[32, 8], [8, 32]]],
        "array.rows": Range(4, 64),
        "dram.pj_per_bit": Range(0.5, 8.0),
    }


def test_a_grid_is_the_product() -> None:
    settings = list(grid({"array.rows": (8, 16), "activation.banks": (4, 2)}))
    assert settings == [
        {"array.rows": rows, "activation.banks": banks} for rows in (8, 16) for banks in (4, 2)
    ]
    assert list(grid({})) == [{}]


def test_random_settings_are_reproducible_different_and_inside() -> None:
    few, many, others = drawn(AXES, 20, seed=3), drawn(AXES, 100, seed=3), drawn(AXES, 20, seed=4)
    assert few == many[:20]
    assert few != others
    assert len({repr(setting) for setting in many}) == 100
    for setting in many:
        assert setting["activation.banks"] in (8, 16, 32)
        assert isinstance(setting["array.rows"], int)
        assert 4 <= setting["array.rows"] <= 64
        assert 4 <= setting["dram.pj_per_bit"] <= 20


def test_all_of_a_small_space_can_be_drawn() -> None:
    axes = {"activation.banks": (8, 16), "array.rows": Range(1, 3)}
    found = {tuple(setting.values()) for setting in drawn(axes, 6)}
    assert found == {(banks, rows) for banks in (8, 16) for rows in (1, 2, 3)}
    with pytest.raises(SpaceError, match="only 6 different"):
        drawn(axes, 7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("array.row=1", "nearest valid: 'array.rows'"),
        ("array=1", "array"),
        ("array.rows", "expected key=1,2,4"),
        ("array.rows=", "no values"),
        ("array.rows=4,4", "duplicate"),
        ("array.rows=64..4", "holds no value"),
        ("array.rows=4..many", "expected two finite numbers"),
        ("dram.pj_per_bit=1..inf", "expected two finite numbers"),
        ("dram.pj_per_bit=nan..1", "expected two finite numbers"),
        ("array.rows=[4", "not valid YAML"),
        ("name=big", "changes no figure"),
    ],
)
def test_a_bad_axis_is_refused(text: str, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        parse_axes([text])


def test_an_axis_is_given_once_and_a_grid_has_no_ranges() -> None:
    with pytest.raises(SpaceError, match="given twice"):
        parse_axes(["array.rows=1", "array.rows=2"])
    with pytest.raises(SpaceError, match="drawn at random"):
        list(grid({"array.rows": Range(1, 2)}))
    with pytest.raises(SpaceError, match="nothing to vary"):
        drawn({}, 1)


def test_files_of_settings(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    table.write_text(
        'array.rows, array.feed,array.reshape,scheme\n8,,"[[32, 8]]",dense\n\n'
        "16,systolic,,clock-gated\n"
    )
    listed = tmp_path / "points.yaml"
    listed.write_text(
        "- {array.rows: 8, array.reshape: [[32, 8]], scheme: dense}\n"
        "- {array.rows: 16, array.feed: systolic, scheme: clock-gated}\n"
    )
    assert read_settings(table) == read_settings(listed)
    assert read_settings(table) == [
        {"array.rows": 8, "array.reshape": [[32, 8]], "scheme": "dense"},
        {"array.rows": 16, "array.feed": "systolic", "scheme": "clock-gated"},
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "p.csv",
            "array.row\n1\n",
            "point 1: unknown key 'array.row'; nearest valid: 'array.rows'",
        ),
        ("p.csv", "array.rows,array.rows\n1,2\n", "duplicate"),
        ("p.csv", "array.rows\n1,2\n", "line 2 has 2 cells, the first 1"),
        ("p.csv", "array.rows\n[\n", "line 2"),
        ("p.csv", "", "no points"),
        ("p.yaml", "array.rows: 4\n", "expected a list"),
        ("p.yaml", "- array.rows: 4\n  array.rows: 8\n", "duplicate"),
        ("p.yaml", "- [", "not valid YAML"),
        ("p.txt", "", "expected a .csv or .yaml"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SpaceError, match=said) as refused:
        read_settings(path)
    assert name in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"nowhere\.csv: no such file"):
        read_settings(tmp_path / "nowhere.csv")
