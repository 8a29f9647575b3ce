//! `pipglr doctor`.

mod before_up;

pub(super) use before_up::{Leave, before_up};

use super::{Outcome, host};
use crate::cli::DoctorArgs;
use crate::error::CliError;
use crate::output::{self, Style};
use pipglr_host::account::Account;
use pipglr_host::doctor::{CarriedOut, Finding, Host, Peers, Plan, Remedy, Verdict, Who, examine, worst};
use serde_json::json;
use std::fmt::Write as _;

/// What was hidden by something that was hidden is seen in the third look.
const ROUNDS: usize = 3;

pub(super) fn run(args: &DoctorArgs) -> Outcome {
    let account = host::account_named(args.user.as_deref())?;
    let peers = Peers {
        url: args.url.clone(),
        image: args.image.clone(),
    };
    let look = || examine(&Host::this(&account), Some(&peers));
    let found = look();
    let mut report = Report::of(found);
    if !args.json {
        output::raw(&text(&report.findings, Style::of_stdout()))?;
        output::raw(&plan_text(&report.plan, args, &account))?;
    }
    if args.fix {
        fix(&account, &mut report, &look, args.json)?;
    }
    if args.json {
        output::line(report.json(&account.name))?;
    } else if let Some(after) = &report.after_fix {
        output::line("\nafter that:")?;
        output::raw(&text(after, Style::of_stdout()))?;
    }
    Ok(u8::from(report.worst() == Verdict::Failure))
}

/// What was found, and what became of it.
struct Report {
    findings: Vec<Finding>,
    plan: Plan,
    carried_out: Vec<CarriedOut>,
    /// What is found after remedies; nothing if none was carried out.
    after_fix: Option<Vec<Finding>>,
}

impl Report {
    fn of(findings: Vec<Finding>) -> Self {
        Self {
            plan: Plan::of(&findings),
            findings,
            carried_out: Vec::new(),
            after_fix: None,
        }
    }

    /// As it stands at the end.
    fn worst(&self) -> Verdict {
        worst(self.after_fix.as_ref().unwrap_or(&self.findings))
    }

    fn json(&self, account: &str) -> serde_json::Value {
        json!({
            "account": account,
            "worst": self.worst(),
            "findings": self.findings,
            "plan": self.plan,
            "carried_out": self.carried_out,
            "after_fix": self.after_fix,
        })
    }
}

/// Carries out plans until nothing new is seen: one condition can hide another.
fn fix(account: &Account, report: &mut Report, look: &dyn Fn() -> Vec<Finding>, quiet: bool) -> Result<(), CliError> {
    let mut plan = report.plan.clone();
    for round in 0..ROUNDS {
        plan.steps
            .retain(|step| report.carried_out.iter().all(|done| done.step != *step));
        if plan.steps.is_empty() {
            break;
        }
        if round > 0 && !quiet {
            let lines = plan
                .steps
                .iter()
                .map(|step| format!("  as {}: {}", name(step.who, account), step.command));
            output::line(format_args!(
                "then, as is seen now:\n{}",
                lines.collect::<Vec<_>>().join("\n")
            ))?;
        }
        let done = plan.carry_out(account)?;
        if done.is_empty() {
            break;
        }
        if !quiet {
            done.iter().try_for_each(tell)?;
        }
        report.carried_out.extend(done);
        let after = look();
        plan = Plan::of(&after);
        report.after_fix = Some(after);
    }
    Ok(())
}

fn name(who: Who, account: &Account) -> &str {
    if who == Who::Root { "root" } else { &account.name }
}

/// A line for each finding; what to do stands below those that are not in order.
fn text(findings: &[Finding], style: Style) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut all = String::new();
    for finding in findings {
        let word = format!("{:<7}", finding.verdict.word());
        let word = style.paint(colour(finding.verdict), &word);
        let _ = writeln!(all, "{word}  {:<width$}  {}", finding.check, finding.evidence);
        for line in finding.remedy.iter().flat_map(remedy_lines) {
            let _ = writeln!(all, "         {:<width$}  {line}", "");
        }
    }
    all
}

const fn colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "32",
        Verdict::Unknown => "36",
        Verdict::Warning => "33",
        Verdict::Failure => "31",
    }
}

/// The lines of a remedy, each with who has to give it.
fn remedy_lines(remedy: &Remedy) -> Vec<String> {
    let steps = remedy.steps.iter().map(|step| match step.who {
        Who::Root => format!("as root: {}", step.command),
        Who::Account => format!("as the account: {}", step.command),
    });
    let by_hand = remedy.by_hand.iter().map(|why| format!("by hand: {why}"));
    steps.chain(by_hand).collect()
}

/// What `--fix` will do or would do.
fn plan_text(plan: &Plan, args: &DoctorArgs, account: &Account) -> String {
    let mut all = String::new();
    if plan.steps.is_empty() && plan.by_hand.is_empty() {
        return if args.fix { "\nnothing to do\n".to_owned() } else { all };
    }
    let _ = writeln!(all, "\n{}", if args.fix { "plan:" } else { "--fix would do:" });
    for step in &plan.steps {
        let _ = writeln!(all, "  as {}: {}", name(step.who, account), step.command);
    }
    if plan.steps.is_empty() {
        all.push_str("  nothing\n");
    }
    if !plan.by_hand.is_empty() {
        let _ = writeln!(all, "left to a person: {}", plan.by_hand.join(", "));
    }
    if let Some(sudo) = plan.sudo().filter(|_| !rustix::process::geteuid().is_root()) {
        let _ = writeln!(
            all,
            "what takes root, as one command; after it, give this one again:\n{sudo}"
        );
    }
    all
}

fn tell(done: &CarriedOut) -> Result<(), CliError> {
    match &done.failure {
        None => output::line(format_args!("done    {}", done.step.command)),
        Some(why) => output::line(format_args!("failed  {}: {why}", done.step.command)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Style, text};
    use pipglr_host::doctor::{Finding, Remedy, Step, Verdict, Who};

    #[test]
    fn what_a_person_sees() {
        let findings = [
            Finding {
                check: "subuid",
                verdict: Verdict::Ok,
                evidence: "ci:200000:65539".into(),
                remedy: None,
            },
            Finding {
                check: "linger",
                verdict: Verdict::Warning,
                evidence: "ci does not linger".into(),
                remedy: Some(Remedy {
                    steps: vec![Step {
                        who: Who::Root,
                        command: "loginctl enable-linger ci".into(),
                    }],
                    by_hand: Some("a reason".into()),
                }),
            },
        ];
        let expected = "\
ok       subuid  ci:200000:65539
warning  linger  ci does not linger
                 as root: loginctl enable-linger ci
                 by hand: a reason
";
        assert_eq!(text(&findings, Style { colours: false }), expected);
    }
}
