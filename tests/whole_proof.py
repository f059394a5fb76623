"""What every derived proof has, whatever the problem: all parts, no refused step, and three typefaces."""

import ufm
from ufm.derivation import Derivation

PARTS = ("Reduce", "Decouple", "Stationarity", "Regimes", "Second order", "Certificate", "Geometry")
TERMINAL = 140  # characters


def whole_proof(problem: ufm.Problem, verdict: str) -> Derivation:
    """The derivation of the problem, once it is seen to be whole; verdict: how its verdict begins."""
    derivation = ufm.derive(problem)
    assert derivation.failed == ()
    assert derivation.verdict.startswith(verdict)
    sections = [step.section for step in derivation.steps]
    for part in PARTS:
        assert any(section.startswith(part) for section in sections), part
    latex, text = derivation.latex(), derivation.text()
    assert latex.count("{") == latex.count("}")
    assert latex.isascii()
    assert "$" not in text
    assert "\\" not in text.replace("╲", "")
    assert max(map(len, text.split("\n"))) <= TERMINAL
    assert derivation.markdown().count("$") % 2 == 0
    return derivation
