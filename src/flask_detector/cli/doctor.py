"""`flask-detector doctor`: checks an installation and suggests fixes."""

import json
import logging
import sys
from dataclasses import asdict

import click

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Check this installation and suggest fixes. The exit status is 1 if there is a problem."""
    from flask_detector.service.doctor import examine
    from flask_detector.service.doctor.finding import Level
    from flask_detector.settings import Settings

    # Problems are reported as findings, not as log lines.
    logging.getLogger().setLevel(logging.CRITICAL)
    findings, failed = [], False
    for what, finding in examine(Settings.from_environment()):
        findings.append({"what": what, **asdict(finding)})
        failed |= finding.level is Level.PROBLEM
        if not as_json:
            mark, colour = _MARKS[finding.level]
            click.echo(f"{click.style(mark, fg=colour)} {what}: {finding.message}")
            if finding.hint:
                click.echo(f"  → {finding.hint}")
    if as_json:
        click.echo(json.dumps(findings, indent=2))
    sys.exit(failed)
