//! The first step of `pipglr up`: a host on which a runner works. What does no harm is done, the rest is told.

use super::{Report, fix, name, remedy_lines};
use crate::error::CliError;
use crate::output;
use pipglr_host::account::Account;
use pipglr_host::doctor::{CarriedOut, Finding, Host, Plan, Step, Verdict, Who, examine, worst};

/// How far it may go.
pub(in super::super) struct Leave {
    /// Remedies are carried out, if they do no harm.
    pub(in super::super) fix: bool,
    /// They are only told.
    pub(in super::super) dry_run: bool,
    /// Nothing is printed.
    pub(in super::super) quiet: bool,
}

/// Looks, and cures what would keep a runner from working; servers are asked by later steps. Gives what was done, or would be.
///
/// # Errors
/// A failure is left; all of them are told, with what cures them.
pub(in super::super) fn before_up(account: &Account, leave: &Leave) -> Result<Vec<CarriedOut>, CliError> {
    let look = || -> Vec<Finding> {
        examine(&Host::this(account), None)
            .into_iter()
            .filter(matters)
            .collect()
    };
    let root = rustix::process::geteuid().is_root();
    let mut report = Report::of(look());
    let fails = report.worst() == Verdict::Failure;
    // What takes root and would only be better is no reason to ask for it.
    if report.plan.steps.is_empty() || !leave.fix || (!root && !fails) {
        stop_on_failures(&report.findings, leave, root)?;
        return Ok(Vec::new());
    }
    if !leave.quiet {
        tell_plan(report.plan.open_to(root), account, leave)?;
    }
    if leave.dry_run {
        let stays: Vec<Finding> = report.findings.into_iter().filter(|f| !is_curable(f, root)).collect();
        if root {
            // They may come of what is cured: podman answers nothing as long as the account is not in order.
            tell_rest(&stays, leave)?;
        } else {
            stop_on_failures(&stays, leave, root)?;
        }
        return Ok(planned(report.plan));
    }
    fix(account, &mut report, &look, leave.quiet)?;
    let left = report.after_fix.unwrap_or(report.findings);
    stop_on_failures(&left, leave, root)?;
    Ok(report.carried_out)
}

/// Failures, and that the runner ends with the session.
fn matters(finding: &Finding) -> bool {
    finding.verdict == Verdict::Failure || (finding.check == "linger" && finding.verdict == Verdict::Warning)
}

fn is_curable(finding: &Finding, root: bool) -> bool {
    finding.remedy.as_ref().is_some_and(|remedy| {
        let ours = remedy.steps.iter().all(|step| root || step.who == Who::Account);
        remedy.by_hand.is_none() && !remedy.steps.is_empty() && ours
    })
}

fn planned(plan: Plan) -> Vec<CarriedOut> {
    let step = |step| CarriedOut { step, failure: None };
    plan.steps.into_iter().map(step).collect()
}

fn tell_plan<'p>(steps: impl Iterator<Item = &'p Step>, account: &Account, leave: &Leave) -> Result<(), CliError> {
    let would = if leave.dry_run { "would run " } else { "" };
    for step in steps {
        let who = name(step.who, account);
        output::line(format_args!("{would}as {who}: {}", step.command))?;
    }
    Ok(())
}

fn tell_rest(findings: &[Finding], leave: &Leave) -> Result<(), CliError> {
    let failures = findings.iter().filter(|f| f.verdict == Verdict::Failure);
    for finding in failures.filter(|_| !leave.quiet) {
        let Finding { check, evidence, .. } = finding;
        output::line(format_args!("would then look again at {check}: {evidence}"))?;
    }
    Ok(())
}

fn stop_on_failures(findings: &[Finding], leave: &Leave, root: bool) -> Result<(), CliError> {
    if worst(findings) != Verdict::Failure {
        return Ok(());
    }
    let failures: Vec<Finding> = findings
        .iter()
        .filter(|f| f.verdict == Verdict::Failure)
        .cloned()
        .collect();
    let evidence = failures.iter().map(|f| format!("{}: {}", f.check, f.evidence));
    let evidence = evidence.collect::<Vec<_>>().join("\n       ");
    Err(CliError {
        hints: hints(&failures, findings, leave, root),
        ..anyhow::anyhow!("a runner would not work on this host\n       {evidence}").into()
    })
}

/// What only a person can do, then what takes root, as one command.
fn hints(failures: &[Finding], findings: &[Finding], leave: &Leave, root: bool) -> Vec<String> {
    let sudo = Plan::of(findings).sudo().filter(|_| leave.fix && !root);
    let by_lines = failures.iter().filter(|f| sudo.is_none() || !is_curable(f, true));
    let mut hints: Vec<String> = by_lines
        .filter_map(|f| f.remedy.as_ref())
        .flat_map(remedy_lines)
        .collect();
    hints.extend(sudo.map(|line| format!("what takes root, as one command; after it, give this one again:\n{line}")));
    if !leave.fix {
        hints.push("without --no-fix, what does no harm of this is done".to_owned());
    }
    hints.push("pipglr doctor shows all that was found".to_owned());
    hints
}

#[cfg(test)]
mod tests {
    use super::{Finding, Step, Verdict, Who};
    use super::{Leave, hints, is_curable, matters, stop_on_failures};
    use pipglr_host::doctor::Remedy;

    fn finding(check: &'static str, verdict: Verdict, steps: &[(Who, &str)], by_hand: Option<&str>) -> Finding {
        let steps = steps.iter().map(|(who, command)| Step {
            who: *who,
            command: (*command).to_owned(),
        });
        Finding {
            check,
            verdict,
            evidence: "broken".into(),
            remedy: Some(Remedy {
                steps: steps.collect(),
                by_hand: by_hand.map(str::to_owned),
            }),
        }
    }

    const fn leave(fix: bool) -> Leave {
        Leave {
            fix,
            dry_run: false,
            quiet: true,
        }
    }

    /// As useradd makes an account: three IDs short, and nothing stays when it logs out.
    fn bare() -> Vec<Finding> {
        vec![
            finding(
                "subuid",
                Verdict::Failure,
                &[
                    (Who::Root, "echo ci:1:3 >>/etc/subuid"),
                    (Who::Account, "podman system migrate"),
                ],
                None,
            ),
            finding(
                "linger",
                Verdict::Warning,
                &[(Who::Root, "loginctl enable-linger ci")],
                None,
            ),
        ]
    }

    #[test]
    fn failures_and_linger_are_cured() {
        let all = bare();
        assert!(all.iter().all(matters));
        assert!(all.iter().all(|f| is_curable(f, true) && !is_curable(f, false)));
        assert!(!matters(&finding("keyring", Verdict::Warning, &[], None)));
        let named = finding(
            "storage-driver",
            Verdict::Failure,
            &[(Who::Account, "x")],
            Some("ends containers"),
        );
        assert!(!is_curable(&named, true));
    }

    #[test]
    fn the_account_gets_one_command_for_all_that_takes_root() {
        let all = bare();
        let said = hints(&all[..1], &all, &leave(true), false);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].ends_with("sudo sh -ec 'echo ci:1:3 >>/etc/subuid\nloginctl enable-linger ci'"),
            "{said:?}"
        );
    }

    #[test]
    fn without_leave_every_line_is_told_and_nothing_is_done() {
        let all = bare();
        let said = hints(&all[..1], &all, &leave(false), true);
        assert_eq!(
            said[..3],
            [
                "as root: echo ci:1:3 >>/etc/subuid",
                "as the account: podman system migrate",
                "without --no-fix, what does no harm of this is done"
            ]
        );
        assert!(stop_on_failures(&all, &leave(false), true).is_err());
        assert!(
            stop_on_failures(&all[1..], &leave(false), true).is_ok(),
            "a warning does not stop it"
        );
    }
}
