//! `pipglr doctor`.

use super::{Outcome, host};
use crate::cli::{AccountArgs, DoctorArgs};
use crate::error::CliError;
use crate::output::{self, Style};
use pipglr_host::account::Account;
use pipglr_host::doctor::{CarriedOut, Finding, Host, Peers, Plan, Remedy, Verdict, Who, examine, worst};
use serde_json::json;
use std::fmt::Write as _;

pub(super) fn run(args: &DoctorArgs) -> Outcome {
    let account = host::account(&AccountArgs {
        user: args.user.clone(),
        container: String::new(),
    })?;
    let peers = Peers {
        url: args.url.clone(),
        image: args.image.clone(),
    };
    let mut findings = examine(&Host::this(&account), Some(&peers));
    let plan = Plan::of(&findings);
    let mut taken = Vec::new();
    if !args.json {
        output::raw(&text(&findings, Style::of_stdout()))?;
        output::raw(&plan_text(&plan, args, &account))?;
    }
    if args.fix && !plan.steps.is_empty() {
        taken = plan.carry_out(&account)?;
        if !args.json {
            taken.iter().try_for_each(tell)?;
        }
        if !taken.is_empty() {
            findings = examine(&Host::this(&account), Some(&peers));
        }
        if !args.json && !taken.is_empty() {
            output::line("\nafter that:")?;
            output::raw(&text(&findings, Style::of_stdout()))?;
        }
    }
    if args.json {
        output::line(shown(&account, &findings, &plan, args.fix, &taken))?;
    }
    Ok(u8::from(worst(&findings) == Verdict::Failure))
}

fn shown(
    account: &Account,
    findings: &[Finding],
    plan: &Plan,
    fix: bool,
    taken: &[CarriedOut<'_>],
) -> serde_json::Value {
    let done: Vec<_> = taken
        .iter()
        .map(|done| json!({ "as": done.step.who, "command": done.step.command, "failure": done.failure }))
        .collect();
    json!({
        "account": account.name,
        "worst": worst(findings),
        "findings": findings,
        "plan": plan,
        "fix": fix,
        "carried_out": done,
    })
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
pub(super) fn remedy_lines(remedy: &Remedy) -> Vec<String> {
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
        let who = if step.who == Who::Root { "root" } else { &account.name };
        let _ = writeln!(all, "  as {who}: {}", step.command);
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

fn tell(done: &CarriedOut<'_>) -> Result<(), CliError> {
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
