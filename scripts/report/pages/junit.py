"""A gate's outcome as JUnit XML, which CI services show test by test."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from scripts.inference.gate_decision import Case
from scripts.report.tables import effect_text


def render(cases: Sequence[Case], seconds: float) -> bytes:
    """JUnit XML: a failure is a regression, an error is a metric without a verdict."""
    suite = ET.Element(
        "testsuite",
        name="promptflow-serve-bench gate",
        tests=str(len(cases)),
        failures=str(sum(case.decision == "regression" for case in cases)),
        errors=str(sum(case.decision in ("undecided", "no data") for case in cases)),
        time=f"{seconds:.1f}",
    )
    for case in cases:
        element = ET.SubElement(suite, "testcase", classname=case.where, name=case.effect.metric.name)
        if case.decision != "pass":
            kind = "failure" if case.decision == "regression" else "error"
            ET.SubElement(element, kind, type=case.decision, message=effect_text.reason(case.effect))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"
