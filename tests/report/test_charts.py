"""Charts: equal data give equal bytes, and colours have names."""

import re

import numpy as np

from plaudit.report import charts


def test_a_chart_is_the_same_every_time_and_names_its_colours() -> None:
    x = np.array([1.0, 2.0, 3.0])
    line = charts.Curve(x, x, charts.BLUE, "真实", "-o", low=x - 1, high=x + 1)
    labels = charts.Labels("步数", "a < b", 'says "this" & <that>')
    first, second = (charts.curves([line], labels, charts.Marks(x, "asked")) for _ in range(2))
    assert first == second
    assert first.legend == (("blue", "真实"), ("orange", "asked"))
    assert "var(--blue)" in first.svg
    assert not re.search(r"#[0-9a-f]{6}\b", first.svg)
    assert 'aria-label="says &quot;this&quot; &amp; &lt;that>"' in first.svg
    assert "http" not in first.svg
    other = charts.curves([charts.Curve(x, -x, charts.GREEN)], labels)
    ids = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (first.svg, other.svg)]
    assert ids[0] and ids[1] and not ids[0] & ids[1]
