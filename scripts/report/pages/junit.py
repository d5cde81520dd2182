"""A gate's outcome as JUnit XML, which CI services show test by test.

What is undecided is an error and not skipped: CI services show skipped cases among those that passed.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from scripts.inference.gate_decision import Case
from scripts.report.tables import gate_text

_NAME = "promptflow-serve-bench gate"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def render(cases: Sequence[Case], seconds: float) -> bytes:
    """A case for each judged metric: a failure is a regression, an error is a metric without a verdict."""
    judged = [case for case in cases if case.decision != "not judged"]
    failures = sum(case.decision == "regression" for case in judged)
    errors = sum(case.decision in ("undecided", "no data") for case in judged)
    suite = _suite(len(judged), failures, errors, seconds)
    for case in judged:
        element = ET.SubElement(suite, "testcase", classname=_text(case.where), name=case.metric.name)
        if case.decision == "regression":
            ET.SubElement(element, "failure", type=case.decision, message=_text(gate_text.reason(case)))
        elif case.decision != "pass":
            ET.SubElement(element, "error", type=case.decision, message=_text(gate_text.why_open(case)))
    return _written(suite)


def without_verdict(kind: str, message: str) -> bytes:
    """One case that is an error, for a gate that ended without a verdict."""
    suite = _suite(1, 0, 1, 0.0)
    element = ET.SubElement(suite, "testcase", classname="gate", name="verdict")
    ET.SubElement(element, "error", type=kind, message=_text(message))
    return _written(suite)


def _suite(tests: int, failures: int, errors: int, seconds: float) -> ET.Element:
    return ET.Element(
        "testsuite", name=_NAME, tests=str(tests), failures=str(failures), errors=str(errors), time=f"{seconds:.1f}"
    )  # fmt: skip


def _text(foreign: str) -> str:
    """Without the characters that XML cannot hold, such as those of a terminal's colours."""
    return _NOT_XML.sub("\ufffd", foreign)


def _written(suite: ET.Element) -> bytes:
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"
