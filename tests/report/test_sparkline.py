from unvanish.report.sparkline import sparkline


def test_numbers_whose_span_is_no_number_have_a_course() -> None:
    assert sparkline([-1.7e308, 0.0, 1.7e308], 9, logarithmic=False) == "▁▅█"
    assert sparkline([-1.0, 0.0, 1.0], 9, logarithmic=False) == "▁▅█"
    assert sparkline([5e-324, 5e-324], 9, logarithmic=False) == "▅▅"
    assert sparkline([0.0, 5e-324], 9, logarithmic=False) == "▁█"
