"""The table of a finding about units: of the moment that the finding is about, folded as others are."""

from msgspec.structs import replace

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.profile import Profile
from unvanish.report.figures import units
from unvanish.report.rows import layer_rows
from unvanish.report.text import render_text
from unvanish.report.text_table import table_lines
from unvanish.rules.judge import judge
from unvanish.testing.observations import Recipe, observation
from unvanish.testing.specimen_edits import with_losses


def died(depth: int = 12) -> Diagnosis:
    """Return a network whose units were alive at step 0, a tenth of them dead, and are dead at the end but for two."""
    seen = with_losses(observation(Recipe(depth=depth, activation="relu", factor=0.99, dead=0.1)), 0.693, 0.693)
    end = _shares(seen.profiles[-1], [1.0 if 2 < i < depth - 2 else 0.25 for i in range(depth)])
    start = _shares(replace(seen.profiles[0], step=0), [0.1] * depth)
    return judge(replace(seen, profiles=(start, replace(end, step=60))))


def _shares(profile: Profile, shares: list[float]) -> Profile:
    layers = zip(profile.layers, shares, strict=True)
    return replace(profile, layers=tuple(replace(layer, dead_share=share) for layer, share in layers))


def test_the_table_shows_the_shares_that_the_message_counts() -> None:
    diagnosis = died()
    finding = next(finding for finding in diagnosis.findings if finding.code == "GF202")
    assert finding.message == "all 64 units of dense_3 are zero on every sample after 60 steps (10 % at step 0)"
    heading, *lines = [line.plain for line in table_lines(finding, layer_rows(diagnosis), 100)]
    assert "at step 0" in heading
    for line in lines:
        share = line.split()[2]
        assert (share == "100") == line.endswith("←"), line
        assert "  10 %  " in line, "what it was at step 0"


def test_the_report_says_of_which_step_the_table_is() -> None:
    assert "measured after 60 steps on" in render_text(died(), width=100)


def test_thirty_layers_are_folded_as_in_other_tables() -> None:
    diagnosis = died(30)
    finding = next(finding for finding in diagnosis.findings if finding.code == "GF202")
    assert len(table_lines(finding, layer_rows(diagnosis), 100)) < 20


def test_the_picture_shows_the_end_and_beside_it_the_start() -> None:
    figure = units.draw(died())
    assert figure is not None
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert "dead (zero on every sample) after 60 steps" in labels
    assert "at step 0" in labels
    heights = [patch.get_height() for patch in figure.axes[0].patches]  # type: ignore[attr-defined]
    assert max(heights) == 1.0


def test_there_is_no_empty_picture() -> None:
    diagnosis = died()
    none = tuple(_shares(profile, [0.0] * 12) for profile in diagnosis.observation.profiles)
    none = tuple(replace(p, layers=tuple(replace(x, saturated_share=None) for x in p.layers)) for p in none)
    assert units.draw(replace(diagnosis, observation=replace(diagnosis.observation, profiles=none))) is None
