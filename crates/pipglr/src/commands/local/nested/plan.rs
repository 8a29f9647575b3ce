//! What `--nested` asks podman for, as plain data.

use super::arguments;
use crate::cli::LocalArgs;
use std::path::{Component, Path, PathBuf};

/// Where the command in the sandbox keeps archives of artifacts.
pub(super) const ARCHIVES: &str = "/var/tmp/pipglr-artifacts";
/// Where it leaves the page about the run.
pub(super) const REPORT: &str = "/var/tmp/pipglr-report.html";
/// Process ID of the command, which gets the signals.
pub(super) const PID: &str = "/run/pipglr-local.pid";
/// The project's containers are known by it.
const LABEL: &str = "pipglr.local";
/// The engine's home in the image.
const HOME: &str = "/home/podman";

/// Waits for systemd, then runs the command as the engine's user. Files of the working tree belong to root in there, which
/// is this account: one capability of the container's own lets them be read; the mount lets nothing be written. The secure bit
/// is for access(2), by which git looks, and which counts no capabilities without it.
const ENTRY: &str = r#"set -e
tries=0
until [ -S /run/podman/podman.sock ]; do
    tries=$((tries + 1))
    [ $tries -lt 1200 ] || { echo "pipglr: the engine of the sandbox does not start" >&2; exit 1; }
    sleep 0.05
done
install -d -o podman -g podman -m 700 /home/podman/.local/share/containers /home/podman/.local/state
printf '[safe]\n\tdirectory = *\n' >/home/podman/.gitconfig
echo $$ >/run/pipglr-local.pid
exec setpriv --reuid=podman --regid=podman --init-groups --inh-caps=+dac_override --ambient-caps=+dac_override \
    --securebits=+no_setuid_fixup -- \
    env HOME=/home/podman USER=podman XDG_RUNTIME_DIR=/run/user/1000 CONTAINER_HOST=unix:///run/podman/podman.sock \
    pipglr "$@""#;

/// What is known of this side.
pub(super) struct Facts<'f> {
    pub(super) image: &'f str,
    pub(super) repo: &'f Path,
    /// git's directory, if it is not in the working tree.
    pub(super) git: Option<PathBuf>,
    pub(super) project: &'f str,
    /// Where this run keeps its things; no other run has it.
    pub(super) slot: &'f Path,
    /// Where the command was typed.
    pub(super) directory: &'f Path,
    pub(super) home: Option<PathBuf>,
    /// More options for `podman run`.
    pub(super) options: &'f str,
    /// Whether a person sees and types.
    pub(super) terminal: bool,
    /// Names of variables that are set here.
    pub(super) environment: Vec<String>,
}

/// The sandbox, from its start to what is taken out of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) container: String,
    /// Made with these labels if they are not there.
    pub(super) volumes: Vec<String>,
    pub(super) labels: Vec<String>,
    /// `podman run`, without the program's name.
    pub(super) run: Vec<String>,
    /// `podman exec`, likewise.
    pub(super) exec: Vec<String>,
    /// Where logs go, on both sides.
    pub(super) logs: PathBuf,
    /// Where artifacts are unpacked to.
    pub(super) artifacts: Option<PathBuf>,
    /// Where the page about the run goes.
    pub(super) report: Option<PathBuf>,
}

impl Plan {
    pub(super) fn new(args: &LocalArgs, facts: &Facts<'_>) -> Self {
        let slot = facts.slot.file_name().unwrap_or_default().to_string_lossy();
        let container = container(facts.project, &slot);
        let labels = vec!["pipglr.managed=true".to_owned(), format!("{LABEL}={}", facts.project)];
        let (storage, state) = (format!("{container}-storage"), format!("{container}-state"));
        let logs = match &args.log_dir {
            Some(directory) => facts.directory.join(directory),
            None => facts.slot.join("logs"),
        };
        let artifacts = args
            .artifacts
            .as_ref()
            .map(|directory| match directory.as_os_str() == "." {
                true => facts.repo.to_owned(),
                false => facts.directory.join(directory),
            });
        let mut run = words("run --detach --tty --rm --name");
        run.push(container.clone());
        for label in &labels {
            run.extend(["--label".to_owned(), label.clone()]);
        }
        run.push(format!("--pull={}", pull(args)));
        // As in the image's label `run`.
        run.extend(words(
            "--log-driver=none --systemd=always --pids-limit=-1 --device /dev/fuse --device /dev/net/tun \
             --security-opt label=disable --security-opt unmask=/proc/* --seccomp-policy=image",
        ));
        run.push(format!("--volume={storage}:{HOME}/.local/share/containers"));
        run.push(format!("--volume={state}:{HOME}/.local/state"));
        run.extend(mounts(args, facts));
        // Of its own, and gone with the container: logs have the same path on both sides.
        run.push(mount(&["type=volume".to_owned(), format!("dst={}", logs.display())]));
        run.extend(words(facts.options));
        run.push(facts.image.to_owned());
        // Everything but the runner, which would want a configuration.
        run.extend(words("/usr/lib/systemd/systemd --unit=basic.target"));

        let mut exec = words("exec");
        if facts.terminal {
            exec.extend(words("--interactive --tty"));
        }
        exec.push(format!("--workdir={}", facts.directory.display()));
        for name in &facts.environment {
            exec.push(format!("--env={name}"));
        }
        exec.extend([container.clone(), "sh".to_owned(), "-c".to_owned(), ENTRY.to_owned()]);
        exec.push("pipglr".to_owned());
        exec.extend(arguments::inside(args, &logs));
        Self {
            container,
            volumes: vec![storage, state],
            labels,
            run,
            exec,
            logs,
            artifacts,
            report: args.report.as_ref().map(|file| facts.directory.join(file)),
        }
    }
}

/// The sandbox of a slot; its volumes' names begin with it, and with what all volumes of the project have.
pub(super) fn container(project: &str, slot: &str) -> String {
    format!("{}nested-{slot}", super::Places::volume_prefix(project))
}

/// The image's pull policy in podman's words.
fn pull(args: &LocalArgs) -> &'static str {
    match args.pull.as_str() {
        _ if args.context.offline => "never",
        "if-not-present" => "missing",
        other => other,
    }
}

/// What is read there as here, by the same path.
fn mounts(args: &LocalArgs, facts: &Facts<'_>) -> Vec<String> {
    let mut same: Vec<PathBuf> = vec![facts.repo.to_owned()];
    same.extend(facts.git.clone());
    let named = args
        .context
        .variables_file
        .iter()
        .map(|file| facts.directory.join(file));
    let leads_up = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    same.extend(named.filter(|file| leads_up(file) || !file.starts_with(facts.repo)));
    let mut mounts: Vec<String> = same.iter().map(|path| bind(path, path)).collect();
    if let Some(home) = &facts.home {
        let name = ".gitlab-ci-local/variables.yml";
        let path = home.join(name);
        if path.is_file() {
            mounts.push(bind(&path, &Path::new(HOME).join(name)));
        }
    }
    mounts
}

fn bind(from: &Path, to: &Path) -> String {
    mount(&[
        "type=bind".to_owned(),
        format!("src={}", from.display()),
        format!("dst={}", to.display()),
        "ro=true".to_owned(),
    ])
}

/// podman reads the option as a line of CSV.
fn mount(fields: &[String]) -> String {
    let quoted = fields.iter().map(|field| match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.clone(),
    });
    format!("--mount={}", quoted.collect::<Vec<_>>().join(","))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{ENTRY, Facts, PID, Plan};
    use crate::cli::LocalArgs;
    use clap::{Args as _, FromArgMatches as _};
    use std::path::Path;

    /// What the image's own label asks for, which the sandbox needs as well.
    const RUN_LABEL: &str = include_str!("../../../../../../image/runlabels/run.sh");

    fn parsed(arguments: &[&str]) -> LocalArgs {
        let matches =
            LocalArgs::augment_args(clap::Command::new("local")).get_matches_from(["local"].iter().chain(arguments));
        LocalArgs::from_arg_matches(&matches).unwrap()
    }

    fn plan(arguments: &[&str], terminal: bool) -> Plan {
        let args = parsed(arguments);
        let facts = Facts {
            image: args.nested.as_deref().unwrap_or_default(),
            repo: Path::new("/home/me/a,b"),
            git: None,
            project: "a-b-0123456789ab",
            slot: Path::new("/home/me/.local/state/pipglr/local/a-b-0123456789ab/0"),
            directory: Path::new("/home/me/a,b/sub"),
            home: None,
            options: "-v x:/y",
            terminal,
            environment: vec!["TOKEN".to_owned()],
        };
        Plan::new(&args, &facts)
    }

    #[test]
    fn the_whole_plan() {
        let plan = plan(
            &[
                "--nested=img",
                "-e",
                "TOKEN",
                "--artifacts=out",
                "--variables-file=../../v.yml",
                "--pull=always",
                "unit",
            ],
            true,
        );
        let container = "pipglr-local-a-b-0123456789ab-nested-0";
        assert_eq!(plan.container, container);
        assert_eq!(
            plan.run.join("\n"),
            format!(
                "run\n--detach\n--tty\n--rm\n--name\n{container}\n--label\npipglr.managed=true\n\
                 --label\npipglr.local=a-b-0123456789ab\n--pull=always\n--log-driver=none\n--systemd=always\n\
                 --pids-limit=-1\n--device\n/dev/fuse\n--device\n/dev/net/tun\n--security-opt\nlabel=disable\n\
                 --security-opt\nunmask=/proc/*\n--seccomp-policy=image\n\
                 --volume={container}-storage:/home/podman/.local/share/containers\n\
                 --volume={container}-state:/home/podman/.local/state\n\
                 --mount=type=bind,\"src=/home/me/a,b\",\"dst=/home/me/a,b\",ro=true\n\
                 --mount=type=volume,dst=/home/me/.local/state/pipglr/local/a-b-0123456789ab/0/logs\n\
                 -v\nx:/y\nimg\n/usr/lib/systemd/systemd\n--unit=basic.target"
            )
            // A file in the working tree is there with it; this one is not.
            .replace(
                "--mount=type=volume",
                "--mount=type=bind,\"src=/home/me/a,b/sub/../../v.yml\",\"dst=/home/me/a,b/sub/../../v.yml\",ro=true\n\
                 --mount=type=volume"
            )
        );
        let (start, inside) = plan
            .exec
            .split_at(plan.exec.iter().position(|word| word == ENTRY).unwrap());
        assert_eq!(
            start.join(" "),
            format!("exec --interactive --tty --workdir=/home/me/a,b/sub --env=TOKEN {container} sh -c")
        );
        assert_eq!(
            inside[1..].join(" "),
            "pipglr local --env=TOKEN --variables-file=../../v.yml --file=.gitlab-ci.yml --pull=always \
             --default-image=docker.io/library/debian:stable-slim \
             --log-dir=/home/me/.local/state/pipglr/local/a-b-0123456789ab/0/logs \
             --artifact-archives=/var/tmp/pipglr-artifacts -- unit"
        );
        assert_eq!(plan.artifacts.as_deref(), Some(Path::new("/home/me/a,b/sub/out")));
    }

    #[test]
    fn without_a_terminal_none_is_asked_for_and_offline_pulls_nothing() {
        let plan = plan(&["--nested=img", "--offline", "--log-dir=logs"], false);
        assert!(plan.run.contains(&"--pull=never".to_owned()), "{:?}", plan.run);
        assert!(!plan.exec.contains(&"--tty".to_owned()), "{:?}", plan.exec);
        assert_eq!(plan.logs, Path::new("/home/me/a,b/sub/logs"));
        assert_eq!(plan.artifacts, None);
    }

    #[test]
    fn the_image_gets_what_its_label_asks_for() {
        let run = plan(&["--nested=img"], false).run.join(" ");
        for option in [
            "--systemd=always",
            "--pids-limit=-1",
            "--device /dev/fuse",
            "--device /dev/net/tun",
            "--security-opt label=disable",
            "--seccomp-policy=image",
        ] {
            assert!(RUN_LABEL.contains(option) && run.contains(option), "{option}");
        }
        assert!(RUN_LABEL.contains("--security-opt \"unmask=/proc/*\""));
        assert!(ENTRY.contains(PID));
    }
}
