//! `pipglr prune` and `pipglr disk`: on the host they are passed on into the runner's container, where the manager is asked,
//! which alone knows what jobs use.

use super::health::IMAGE_ENV;
use super::{Outcome, host, single_threaded, status};
use crate::cli::{AccountArgs, ControlArgs, DiskArgs, PruneArgs};
use crate::error::CliError;
use crate::output;
use pipglr_host::running::Running;
use pipglr_runner::disk::control::{self, Answer, Question};
use pipglr_runner::disk::plan::{Removal, Scope, age};
use pipglr_runner::disk::report::{Report, Used};
use pipglr_runner::disk::{Collected, Item};
use std::path::Path;

pub(super) fn prune(args: &PruneArgs) -> Outcome {
    let given = [(args.dry_run, "--dry-run"), (args.all, "--all"), (args.json, "--json")];
    let given = given.into_iter().filter_map(|(on, option)| on.then_some(option));
    if let Some(outcome) = pass_on(&args.account, &args.control, "prune", given) {
        return outcome;
    }
    let scope = if args.all { Scope::All } else { Scope::Rules };
    let question = if args.dry_run {
        Question::WouldRemove(scope)
    } else {
        Question::Collect(scope)
    };
    match ask(&args.control, &question)? {
        Answer::WouldRemove(removals) if args.json => output::line(serde_json::to_string(&removals)?)?,
        Answer::WouldRemove(removals) => output::raw(&would_remove(&removals))?,
        Answer::Collected(collected) if args.json => output::line(serde_json::to_string(&collected)?)?,
        Answer::Collected(collected) => output::raw(&removed(&collected))?,
        Answer::Report(_) | Answer::Failed(_) => return Err(other_answer()),
    }
    Ok(0)
}

pub(super) fn disk(args: &DiskArgs) -> Outcome {
    let given = args.json.then_some("--json");
    if let Some(outcome) = pass_on(&args.account, &args.control, "disk", given.into_iter()) {
        return outcome;
    }
    match ask(&args.control, &Question::Report)? {
        Answer::Report(report) if args.json => output::line(serde_json::to_string(&report)?)?,
        Answer::Report(report) => rows(&report).iter().try_for_each(|table| status::table(table))?,
        Answer::WouldRemove(_) | Answer::Collected(_) | Answer::Failed(_) => return Err(other_answer()),
    }
    Ok(0)
}

/// Runs the same command in the runner's container, unless this is it. The command's own exit code is ours.
fn pass_on(
    account: &AccountArgs,
    control: &ControlArgs,
    command: &'static str,
    options: impl Iterator<Item = &'static str>,
) -> Option<Outcome> {
    if control.socket.exists() || Path::new(IMAGE_ENV).exists() {
        return None;
    }
    let pass = || -> Outcome {
        let running = Running::new(&host::account(account)?, &account.container);
        running.must_run().map_err(host::explained)?;
        let mut inside = vec!["pipglr", command];
        inside.extend(options);
        let status = running.exec(&[], &inside).status()?;
        Ok(status.code().map_or(1, super::exit_code))
    };
    Some(pass())
}

fn ask(control: &ControlArgs, question: &Question) -> Result<Answer, CliError> {
    let answer = single_threaded()?.block_on(control::ask(&control.socket, question));
    answer.map_err(|error| {
        if control.socket.exists() {
            return error.into();
        }
        let hint = "the runner answers when it runs (systemctl status runner.service); with GitLab's own runner in the \
                    image, systemctl start pipglr-prune.service removes what is unused";
        CliError::with_hint(error, hint)
    })
}

fn other_answer() -> CliError {
    CliError::with_hint(
        anyhow::anyhow!("the runner answers something else than was asked"),
        "it is of another version than this program: restart it",
    )
}

fn would_remove(removals: &[Removal]) -> String {
    let mut text: String = removals
        .iter()
        .map(|r| format!("would remove {}\n", described(r)))
        .collect();
    if removals.is_empty() {
        text.push_str("nothing to remove\n");
    }
    text
}

fn removed(collected: &Collected) -> String {
    let mut text: String = collected
        .removed
        .iter()
        .map(|r| format!("removed {}\n", described(r)))
        .collect();
    for (removal, reason) in &collected.kept {
        text.push_str(&format!("kept {}: {reason}\n", described(removal)));
    }
    if collected.removed.is_empty() {
        text.push_str("nothing was removed\n");
    } else {
        text.push_str(&format!("{} more free\n", status::size(collected.freed)));
    }
    text
}

fn described(removal: &Removal) -> String {
    let kind = match removal.item {
        Item::Image(_) => "image",
        Item::Volume(_) => "volume",
        Item::Cache(_) => "cache",
        Item::Container(_) => "container",
    };
    let size = removal.bytes.map(|b| format!(", {}", status::size(b)));
    format!("{kind} {}{} ({})", removal.name, size.unwrap_or_default(), removal.why)
}

/// Tables, one below the other.
fn rows(report: &Report) -> Vec<Vec<Vec<String>>> {
    let mut spaces = vec![["DISK", "SIZE", "FREE", "USED"].map(str::to_owned).to_vec()];
    spaces.extend(report.spaces.iter().map(|place| {
        vec![
            place.name.clone(),
            status::size(place.space.total),
            status::size(place.space.free),
            format!("{} %", place.space.percent_used()),
        ]
    }));
    let marks = vec![
        vec![
            "above".to_owned(),
            format!(
                "{} % used, unused things are removed down to {} %",
                report.high_water, report.low_water
            ),
        ],
        vec![
            "below".to_owned(),
            format!(
                "{} free on storage, no jobs are taken{}",
                status::size(report.min_free),
                if report.has_room { "" } else { ": now" }
            ),
        ],
        vec![
            "reserve".to_owned(),
            format!(
                "{} of 4 pieces of {}",
                report.ballast,
                status::size(report.ballast_piece)
            ),
        ],
    ];
    let mut things = vec![["KIND", "SIZE", "LAST USED", "NAME"].map(str::to_owned).to_vec()];
    things.extend(report.images.iter().map(|used| row("image", used)));
    things.extend(report.volumes.iter().map(|used| row("volume", used)));
    things.extend(report.caches.iter().map(|caches| {
        let name = format!("{}, {} keys", caches.project, caches.keys);
        vec!["caches".to_owned(), status::size(caches.bytes), String::new(), name]
    }));
    vec![spaces, marks, things]
}

fn row(kind: &str, used: &Used) -> Vec<String> {
    vec![
        kind.to_owned(),
        used.bytes.map_or_else(|| "-".to_owned(), status::size),
        used.idle
            .map_or_else(|| "in use".to_owned(), |seconds| format!("{} ago", age(seconds))),
        used.name.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::{removed, rows, would_remove};
    use pipglr_runner::disk::plan::{Removal, Why};
    use pipglr_runner::disk::report::{Caches, Place, Report, Used};
    use pipglr_runner::disk::{Collected, Item, Space};

    fn removals() -> Vec<Removal> {
        let removal = |item, name: &str, why, bytes| Removal {
            item,
            name: name.to_owned(),
            names: Vec::new(),
            why,
            bytes,
        };
        vec![
            removal(Item::Container("c".into()), "left", Why::Ended, None),
            removal(Item::Image("i".into()), "a:1", Why::Unused(9 * 86400), Some(80_000_000)),
        ]
    }

    #[test]
    fn what_prune_tells() {
        assert_eq!(
            would_remove(&removals()),
            "would remove container left (ended, and of no job)\nwould remove image a:1, 80 MB (not used for 9 days)\n"
        );
        assert_eq!(would_remove(&[]), "nothing to remove\n");
        let [container, image] = removals().try_into().unwrap();
        let collected = Collected {
            removed: vec![image],
            kept: vec![(container, "it is in use".to_owned())],
            freed: 79_000_000,
        };
        assert_eq!(
            removed(&collected),
            "removed image a:1, 80 MB (not used for 9 days)\nkept container left (ended, and of no job): it is in use\n\
             79 MB more free\n"
        );
        assert_eq!(removed(&Collected::default()), "nothing was removed\n");
    }

    #[test]
    fn what_disk_shows() {
        let used = |name: &str, bytes, idle| Used {
            name: name.to_owned(),
            bytes,
            idle,
        };
        let report = Report {
            spaces: vec![Place {
                name: "storage".into(),
                space: Space {
                    total: 10_000_000_000,
                    free: 2_500_000_000,
                    ..Space::default()
                },
            }],
            high_water: 85,
            low_water: 75,
            min_free: 500_000_000,
            has_room: false,
            ballast: 3,
            ballast_piece: 50_000_000,
            containers: 1,
            images: vec![
                used("a:1", Some(80_000_000), None),
                used("b:1", Some(9_000), Some(7300)),
            ],
            volumes: vec![used("v", None, Some(3))],
            caches: vec![Caches {
                project: "runner-r/project-1".into(),
                keys: 2,
                bytes: 5_000_000,
            }],
        };
        let text: Vec<String> = rows(&report).concat().iter().map(|row| row.join("|")).collect();
        assert_eq!(
            text,
            [
                "DISK|SIZE|FREE|USED",
                "storage|10.0 GB|2.5 GB|75 %",
                "above|85 % used, unused things are removed down to 75 %",
                "below|500 MB free on storage, no jobs are taken: now",
                "reserve|3 of 4 pieces of 50 MB",
                "KIND|SIZE|LAST USED|NAME",
                "image|80 MB|in use|a:1",
                "image|9 kB|2 hours ago|b:1",
                "volume|-|3 seconds ago|v",
                "caches|5 MB||runner-r/project-1, 2 keys",
            ]
        );
    }
}
