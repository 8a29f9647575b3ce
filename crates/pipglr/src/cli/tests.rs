use super::refused::REFUSED;
use super::{CalledAs, Command, RunnerCommand, command, parse};
use std::ffi::OsString;

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(Into::into).collect()
}

fn parsed(line: &str) -> Command {
    parse(words(line)).unwrap()
}

fn runner(line: &str) -> RunnerCommand {
    let Command::Runner(args) = parsed(line) else {
        panic!("{line}")
    };
    args.command
}

/// Flags of gitlab-runner's commands, their short form and their environment variable; the names are those of
/// docs/compatibility.md. Those that end up in config.toml are in `pipglr_runner::registration::OPTIONS`.
#[rustfmt::skip]
const FLAGS: [(&str, &str, &str); 70] = [
    ("--debug", "", "RUNNER_DEBUG"),
    ("--log-format", "", "LOG_FORMAT"),
    ("--log-level", "l", "LOG_LEVEL"),
    ("--cpuprofile", "", "CPU_PROFILE"),
    ("run --config", "c", "CONFIG_FILE"),
    ("run --listen-address", "", "LISTEN_ADDRESS"),
    ("run --service", "n", ""),
    ("run --working-directory", "d", ""),
    ("run --user", "u", ""),
    ("run --syslog", "", "LOG_SYSLOG"),
    ("run-single --config", "c", "CONFIG_FILE"),
    ("run-single --runner", "r", ""),
    ("run-single --wait-timeout", "", ""),
    ("run-single --max-builds", "", ""),
    ("run-single --url", "u", "CI_SERVER_URL"),
    ("run-single --token", "t", "CI_SERVER_TOKEN"),
    ("run-single --name", "", "RUNNER_NAME"),
    ("run-single --description", "", "RUNNER_NAME"),
    ("register --config", "c", "CONFIG_FILE"),
    ("register --template-config", "", "TEMPLATE_CONFIG_FILE"),
    ("register --non-interactive", "n", "REGISTER_NON_INTERACTIVE"),
    ("register --leave-runner", "", "REGISTER_LEAVE_RUNNER"),
    ("register --url", "u", "CI_SERVER_URL"),
    ("register --token", "t", "CI_SERVER_TOKEN"),
    ("register --registration-token", "r", "REGISTRATION_TOKEN"),
    ("register --name", "", "RUNNER_NAME"),
    ("register --description", "", "RUNNER_NAME"),
    ("register --tag-list", "", "RUNNER_TAG_LIST"),
    ("register --run-untagged", "", "REGISTER_RUN_UNTAGGED"),
    ("register --locked", "", "REGISTER_LOCKED"),
    ("register --access-level", "", "REGISTER_ACCESS_LEVEL"),
    ("register --maximum-timeout", "", "REGISTER_MAXIMUM_TIMEOUT"),
    ("register --paused", "", "REGISTER_PAUSED"),
    ("register --maintenance-note", "", "REGISTER_MAINTENANCE_NOTE"),
    ("verify --config", "c", "CONFIG_FILE"),
    ("verify --name", "n", ""),
    ("verify --url", "u", ""),
    ("verify --token", "t", ""),
    ("verify --delete", "", ""),
    ("unregister --config", "c", "CONFIG_FILE"),
    ("unregister --name", "n", ""),
    ("unregister --token", "t", "CI_SERVER_TOKEN"),
    ("unregister --url", "u", "CI_SERVER_URL"),
    ("unregister --tls-ca-file", "", "CI_SERVER_TLS_CA_FILE"),
    ("unregister --tls-cert-file", "", "CI_SERVER_TLS_CERT_FILE"),
    ("unregister --tls-key-file", "", "CI_SERVER_TLS_KEY_FILE"),
    ("unregister --all-runners", "", ""),
    ("list --config", "c", "CONFIG_FILE"),
    ("lint --config", "c", "CONFIG_FILE"),
    ("reset-token --config", "c", "CONFIG_FILE"),
    ("reset-token --name", "n", ""),
    ("reset-token --url", "u", ""),
    ("reset-token --id", "i", ""),
    ("reset-token --all-runners", "", ""),
    ("reset-token --pat", "", ""),
    ("run --state-dir", "", "PIPGLR_STATE_DIR"),
    ("run --podman-socket", "", "PIPGLR_PODMAN_SOCKET"),
    ("run --program", "", "PIPGLR_PROGRAM"),
    ("run --helper-root", "", "PIPGLR_HELPER_ROOT"),
    ("run --nested-privileged", "", "PIPGLR_NESTED_PRIVILEGED"),
    ("run --health-socket", "", "PIPGLR_HEALTH_SOCKET"),
    ("run-single --state-dir", "", "PIPGLR_STATE_DIR"),
    ("run-single --podman-socket", "", "PIPGLR_PODMAN_SOCKET"),
    ("run-single --program", "", "PIPGLR_PROGRAM"),
    ("run-single --helper-root", "", "PIPGLR_HELPER_ROOT"),
    ("run-single --nested-privileged", "", "PIPGLR_NESTED_PRIVILEGED"),
    ("register --state-dir", "", "PIPGLR_STATE_DIR"),
    ("verify --state-dir", "", "PIPGLR_STATE_DIR"),
    ("unregister --state-dir", "", "PIPGLR_STATE_DIR"),
    ("list --state-dir", "", "PIPGLR_STATE_DIR"),
];

/// The flag `--long` of a command as it is described to clap.
fn argument<'a>(command: &'a clap::Command, long: &str) -> Option<&'a clap::Arg> {
    let has = |arg: &&clap::Arg| {
        let aliases = arg.get_all_aliases().unwrap_or_default();
        arg.get_long() == Some(long) || aliases.contains(&long)
    };
    command.get_arguments().find(has)
}

#[test]
fn every_flag_has_its_short_form_and_its_environment_name() {
    let whole = command();
    let of_runner = whole.find_subcommand("runner").unwrap();
    for (name, short, env) in FLAGS {
        let (command, long) = match name.split_once(" --") {
            Some((command, long)) => (of_runner.find_subcommand(command).unwrap(), long),
            None => (of_runner, &name[2..]),
        };
        let arg = argument(command, long).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(arg.get_short(), short.chars().next(), "{name}");
        assert_eq!(arg.get_env().unwrap_or_default(), env, "{name}");
    }
}

#[test]
fn every_option_of_config_toml_is_a_flag_with_its_environment_name() {
    let whole = command();
    let of_runner = whole.find_subcommand("runner").unwrap();
    for name in ["register", "run-single"] {
        let command = of_runner.find_subcommand(name).unwrap();
        for option in pipglr_runner::registration::OPTIONS {
            let arg = argument(command, option.flag).unwrap_or_else(|| panic!("{name}: no --{}", option.flag));
            assert_eq!(
                arg.get_env().unwrap_or_default(),
                option.env,
                "{name} --{}",
                option.flag
            );
        }
    }
}

/// Options of `pipglr local` and `pipglr ci` that nobody is told of need no row.
#[test]
fn every_option_of_a_pipeline_on_the_desk_is_in_the_table() {
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md");
    let table = std::fs::read_to_string(table).unwrap();
    let (_, rows) = table.split_once("\n## Pipelines on the desk\n").unwrap();
    let whole = command();
    let ci = whole.find_subcommand("ci").unwrap();
    let local = whole.find_subcommand("local").unwrap();
    let shown = |command: &&clap::Command| !command.is_hide_set();
    for command in ci.get_subcommands().filter(shown).chain([local]) {
        let name = command.get_name();
        assert!(
            rows.contains(&format!("`pipglr ci {name}`")) || rows.contains(&format!("`pipglr {name}`")),
            "no row for {name}"
        );
        for option in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            let Some(long) = option.get_long().filter(|long| *long != "help") else {
                continue;
            };
            assert!(rows.contains(&format!("`--{long}`")), "no row for --{long} of {name}");
        }
    }
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn gitlab_runner_is_the_runner_subcommand() {
    for line in [
        "pipglr runner run --config /x",
        "/usr/bin/gitlab-runner run --config /x",
        "gitlab-runner --log-level debug run -c /x",
    ] {
        let RunnerCommand::Run(run) = runner(line) else {
            panic!("{line}")
        };
        assert_eq!(run.config.config.display().to_string(), "/x");
    }
    for line in [
        "gitlab-runner --version",
        "gitlab-runner -v",
        "/bin/gitlab-runner --debug --version",
    ] {
        assert!(matches!(parsed(line), Command::RunnerVersion), "{line}");
    }
    assert!(parse(words("gitlab-runner run --version")).is_err());
}

#[test]
fn wrong_command_lines_exit_as_each_name_promises() {
    for (line, code) in [("pipglr runner nonsense", 2), ("gitlab-runner nonsense", 1)] {
        assert!(parse(words(line)).is_err());
        assert_eq!(CalledAs::of(&words(line)).usage_code(), code, "{line}");
    }
}

#[test]
fn commands_that_make_no_sense_here_are_known() {
    for refused in &REFUSED {
        for line in [
            format!("gitlab-runner {}", refused.name),
            format!("pipglr runner {} --user x y -- z", refused.name),
        ] {
            assert!(
                matches!(runner(&line), RunnerCommand::Refused(found) if found == refused),
                "{line}"
            );
        }
        assert!(!refused.why.is_empty() && !refused.instead.is_empty());
    }
}

#[test]
fn options_of_runners_come_from_the_table() {
    let options = "--url http://x --docker-image a --docker-volumes /a --docker-volumes /b --docker-privileged --feature-flags FF_X:true";
    let RunnerCommand::Register(register) = runner(&format!("gitlab-runner register -n {options}")) else {
        panic!()
    };
    let RunnerCommand::RunSingle(single) = runner(&format!("gitlab-runner run-single --max-builds 1 {options}")) else {
        panic!()
    };
    assert_eq!(single.max_builds, 1);
    for given in [register.options, single.options] {
        assert_eq!(given["docker-volumes"], ["/a", "/b"]);
        assert_eq!(given["docker-privileged"], ["true"]);
        assert_eq!(given["feature-flags"], ["FF_X:true"]);
        assert!(!given.contains_key("docker-user"));
    }
}
