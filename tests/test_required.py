# SPDX-License-Identifier: BSD-3-Clause
"""A run that is meant to test something fails where it cannot, instead of skipping the tests."""

import pytest
import required

import fastdrop as fd


def test_names_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("FASTDROP_TEST_REQUIRES", " avx2, torch,,")
    assert required.required() == ["avx2", "torch"]
    monkeypatch.delenv("FASTDROP_TEST_REQUIRES")
    assert required.required() == []


def test_what_is_missing_is_told():
    assert required.missing("numpy") is None
    assert "no_such_package" in required.missing("no_such_package")
    here, others = fd.simd_levels(), set(required.LEVELS) - set(fd.simd_levels())
    assert all(required.missing(level) is None for level in here)
    assert all(", ".join(here) in required.missing(level) for level in others)
    assert set(here) <= set(required.LEVELS)


def test_a_run_without_them_fails(monkeypatch):
    monkeypatch.setenv("FASTDROP_TEST_REQUIRES", "numpy,scalar")
    required.check()
    monkeypatch.setenv("FASTDROP_TEST_REQUIRES", "numpy,no_such_package")
    with pytest.raises(pytest.UsageError, match="FASTDROP_TEST_REQUIRES names no_such_package"):
        required.check()


@pytest.mark.parametrize("kind", [pytest.TestReport, pytest.CollectReport])
def test_no_test_is_skipped_where_everything_is_required(kind, monkeypatch):
    def report_of(outcome):
        reason = ("test_file.py", 1, "Skipped: needs flax")
        if kind is pytest.CollectReport:
            return kind("test_file.py", outcome, reason, [])
        return kind("test_file.py::test", ("test_file.py", 1, "test"), {}, outcome, reason, "call")

    monkeypatch.setenv("FASTDROP_TEST_REQUIRES", "numpy")
    assert required.unskipped(report_of("skipped")).skipped
    monkeypatch.setenv("FASTDROP_TEST_REQUIRES", "numpy,everything")
    required.check()
    assert required.unskipped(report_of("passed")).passed
    failed = required.unskipped(report_of("skipped"))
    assert failed.failed
    assert str(failed.longrepr).endswith("everything: Skipped: needs flax")
    expected_to_fail = report_of("skipped")
    expected_to_fail.wasxfail = "for a reason"
    assert required.unskipped(expected_to_fail).skipped
