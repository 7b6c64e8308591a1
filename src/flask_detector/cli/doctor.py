"""The command `doctor`: looks the installation over and says what to do."""

import json
import logging
import sys
from dataclasses import asdict

import click

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Check this installation and say what to do. The exit status is 1 if something is in the way."""
    from flask_detector.service.doctor.checks import examine
    from flask_detector.service.doctor.finding import Level
    from flask_detector.settings import Settings

    # What is amiss is told as a finding.
    logging.getLogger().setLevel(logging.CRITICAL)
    findings = []
    for finding in examine(Settings.from_environment()):
        findings.append(finding)
        if not as_json:
            mark, colour = _MARKS[finding.level]
            click.echo(f"{click.style(mark, fg=colour)} {finding.what}: {finding.message}")
            if finding.hint:
                click.echo(f"  → {finding.hint}")
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    sys.exit(any(finding.level is Level.PROBLEM for finding in findings))
