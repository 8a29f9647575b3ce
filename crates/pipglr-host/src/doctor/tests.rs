//! Broken hosts as files in a directory: each has its verdict and the lines that cure it.

use super::subordinate_ids::{judge, look};
use super::{Answer, Finding, Host, Plan, Remedy, Verdict, Who, worst};
use crate::account::Account;
use std::path::Path;

/// A check, what breaks its condition, the verdict, a part of the evidence, and a part of the remedy as people see it.
pub(super) type Case<F> = (&'static str, fn(&mut F), Verdict, &'static str, &'static str);

/// All is well with good facts, and each case has what it says.
pub(super) fn verify<F: Clone>(good: &F, judge: impl Fn(&F) -> Vec<Finding>, cases: &[Case<F>]) {
    let findings = judge(good);
    assert_eq!(worst(&findings), Verdict::Ok, "{findings:#?}");
    for (check, break_it, verdict, evidence, remedy) in cases {
        let mut facts = good.clone();
        break_it(&mut facts);
        let findings = judge(&facts);
        let shown = format!("{check}, {evidence}: {findings:#?}");
        let finding = findings
            .iter()
            .find(|f| f.check == *check && f.verdict == *verdict)
            .expect(&shown);
        assert!(finding.evidence.contains(evidence), "{shown}");
        assert!(words(finding.remedy.as_ref()).contains(remedy), "{remedy}: {shown}");
        assert_eq!(finding.remedy.is_none(), remedy.is_empty(), "{shown}");
    }
}

fn words(remedy: Option<&Remedy>) -> String {
    let Some(remedy) = remedy else { return String::new() };
    let who = |who| if who == Who::Root { "root" } else { "the account" };
    let steps = remedy
        .steps
        .iter()
        .map(|step| format!("as {}: {}\n", who(step.who), step.command));
    let by_hand = remedy.by_hand.iter().map(|why| format!("by hand: {why}\n"));
    steps.chain(by_hand).collect()
}

struct FileCase {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    running: &'static str,
    /// Verdict on /etc/subuid, a part of the evidence, the lines of the remedy, whether `--fix` does them.
    expect: (Verdict, &'static str, &'static [&'static str], bool),
}

const GOOD: (&str, &str) = ("etc/subgid", "ci:200000:65539\n");
const MIGRATE: &str = "podman system migrate";

const CASES: &[FileCase] = &[
    FileCase {
        name: "enough",
        files: &[("etc/subuid", "# ours\nci:200000:65539\n"), GOOD],
        running: "",
        expect: (Verdict::Ok, "ci:200000:65539", &[], false),
    },
    FileCase {
        name: "enough, by number",
        files: &[("etc/subuid", "1005:200000:65539\n"), GOOD],
        running: "",
        expect: (Verdict::Ok, "1005:200000:65539", &[], false),
    },
    FileCase {
        name: "no file",
        files: &[GOOD],
        running: "",
        expect: (
            Verdict::Failure,
            "no line: 0 IDs for ci, needed are 65539",
            &[
                "grep -qx 'ci:200000:65539' /etc/subuid 2>/dev/null || echo 'ci:200000:65539' >> /etc/subuid",
                MIGRATE,
            ],
            true,
        ),
    },
    FileCase {
        name: "three IDs short, another account behind",
        files: &[("etc/subuid", "ci:100000:65536\nother:165536:65536\n"), GOOD],
        running: "",
        expect: (
            Verdict::Failure,
            "65536 IDs for ci",
            &[
                "grep -qx 'ci:231072:3' /etc/subuid 2>/dev/null || echo 'ci:231072:3' >> /etc/subuid",
                MIGRATE,
            ],
            true,
        ),
    },
    FileCase {
        name: "short, and containers run",
        files: &[("etc/subuid", "ci:200000:65536\n"), GOOD],
        running: "f00\n",
        expect: (
            Verdict::Failure,
            "65536 IDs for ci",
            &[
                "grep -qx 'ci:265536:3' /etc/subuid 2>/dev/null || echo 'ci:265536:3' >> /etc/subuid",
                MIGRATE,
            ],
            false,
        ),
    },
    FileCase {
        name: "shared with another account",
        files: &[("etc/subuid", "ci:200000:65539\nother:265000:65536\n"), GOOD],
        running: "",
        expect: (
            Verdict::Warning,
            "other has some of these IDs",
            &[
                "sed -i '/^ci:/d; /^1005:/d' /etc/subuid",
                "echo 'ci:330536:65539' >> /etc/subuid",
                MIGRATE,
            ],
            false,
        ),
    },
    FileCase {
        name: "an account of the host inside the range",
        files: &[
            ("etc/subuid", "ci:200000:65539\n"),
            GOOD,
            ("etc/passwd", "far:x:200007:200007::/:/bin/sh\n"),
        ],
        running: "",
        expect: (
            Verdict::Warning,
            "has the ID 200007",
            &[
                "sed -i '/^ci:/d; /^1005:/d' /etc/subuid",
                "echo 'ci:265539:65539' >> /etc/subuid",
                MIGRATE,
            ],
            false,
        ),
    },
    FileCase {
        name: "its own ranges overlap",
        files: &[("etc/subuid", "ci:200000:65539\n1005:200000:10\n"), GOOD],
        running: "",
        expect: (
            Verdict::Failure,
            "overlap, so no user namespace can be made",
            &[
                "sed -i '/^ci:/d; /^1005:/d' /etc/subuid",
                "echo 'ci:265539:65539' >> /etc/subuid",
                MIGRATE,
            ],
            false,
        ),
    },
    FileCase {
        name: "a line nobody can read",
        files: &[("etc/subuid", "ci:200000:65539\nci 1 2\n"), GOOD],
        running: "",
        expect: (Verdict::Warning, "this is no NAME:START:COUNT: ci 1 2", &[], false),
    },
    FileCase {
        name: "ranges from a directory service",
        files: &[("etc/nsswitch.conf", "passwd: files\nsubid: sss\n")],
        running: "",
        expect: (Verdict::Unknown, "ranges come from sss", &[], false),
    },
];

fn examined(root: &Path, running: &'static str) -> Vec<Finding> {
    let account = Account {
        name: "ci".to_owned(),
        uid: 1005,
        gid: 1005,
        home: "/home/ci".into(),
        runtime_dir: "/run/user/1005".into(),
    };
    let ask = move |_: &[&str]| Answer {
        out: running.to_owned(),
        ..Answer::default()
    };
    judge(&look(&Host::new(root.to_owned(), &account, Box::new(ask))))
}

#[test]
fn each_broken_host_has_its_verdict_and_remedy() {
    for case in CASES {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in case.files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let findings = examined(root.path(), case.running);
        let finding = findings.iter().find(|f| f.check == "subuid").unwrap();
        let (verdict, evidence, lines, automatic) = case.expect;
        assert_eq!(finding.verdict, verdict, "{}: {finding:?}", case.name);
        assert_eq!(worst(&findings), verdict, "{}", case.name);
        assert!(
            finding.evidence.contains(evidence),
            "{}: {}",
            case.name,
            finding.evidence
        );
        let remedy = finding.remedy.clone().unwrap_or_default();
        let steps: Vec<&str> = remedy.steps.iter().map(|s| s.command.as_str()).collect();
        assert_eq!(steps, lines, "{}", case.name);
        let plan = Plan::of(&findings);
        assert_eq!(!plan.steps.is_empty(), automatic, "{}: {plan:?}", case.name);
    }
}

#[test]
fn what_both_files_need_is_done_once_and_by_one_sudo() {
    let root = tempfile::tempdir().unwrap();
    let plan = Plan::of(&examined(root.path(), ""));
    let commands: Vec<&str> = plan.steps.iter().map(|s| s.command.as_str()).collect();
    assert_eq!(commands.iter().filter(|c| **c == MIGRATE).count(), 1, "{commands:?}");
    assert_eq!(commands.last(), Some(&MIGRATE), "after both files");
    let sudo = plan.sudo().unwrap();
    assert!(sudo.starts_with("sudo sh -ec '"), "{sudo}");
    assert!(
        sudo.contains("/etc/subuid") && sudo.contains("/etc/subgid") && !sudo.contains(MIGRATE),
        "{sudo}"
    );
}
