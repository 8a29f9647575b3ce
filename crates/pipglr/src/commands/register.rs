//! `pipglr runner register`.

use super::Outcome;
use crate::cli::RegisterArgs;
use crate::error::{CliError, Kind};
use crate::output;
use pipglr_protocol::Secret;
use pipglr_protocol::registration::RegisterRequest;
use pipglr_runner::config;
use pipglr_runner::registration::{RegisterError, RegisterRequestFields, Template, register};
use std::io::BufRead as _;

pub(super) async fn run(mut args: RegisterArgs) -> Outcome {
    let template = args
        .template_config
        .as_deref()
        .filter(|path| !path.as_os_str().is_empty());
    let template = template.map(Template::load).transpose().map_err(cli_error)?;
    if let Some(template) = &template {
        fill(&mut args, template);
    }
    ask_for_missing(&mut args)?;
    let fields = RegisterRequestFields {
        template,
        ..fields(&args)?
    };
    // Sharing the state volume with the running manager keeps GitLab's list of managers short.
    let system_id = config::load_or_create_system_id(&args.config.state_dir()).unwrap_or_else(|error| {
        tracing::debug!(%error, "registering without a lasting system ID");
        config::temporary_system_id()
    });
    let registered = register(&fields, &args.config.config, &system_id)
        .await
        .map_err(cli_error)?;
    for warning in &registered.warnings {
        tracing::warn!("{warning}");
    }
    output::message(
        "Runner registered successfully.",
        &[("name", &fields.name), ("runner", &registered.token.short())],
    );
    Ok(0)
}

fn cli_error(error: RegisterError) -> CliError {
    let kind = if matches!(error, RegisterError::Usage(_) | RegisterError::Option(_)) {
        Kind::Usage
    } else {
        Kind::Failed
    };
    CliError {
        kind,
        hints: error.hint().into_iter().collect(),
        source: error.into(),
    }
}

fn fields(args: &RegisterArgs) -> Result<RegisterRequestFields, CliError> {
    let url = args
        .url
        .clone()
        .filter(|u| !u.is_empty())
        .ok_or_else(|| CliError::usage("no GitLab URL: give --url or CI_SERVER_URL"))?;
    if !args.options.contains_key("executor") {
        return Err(CliError::usage(
            "no executor: give --executor docker or RUNNER_EXECUTOR=docker",
        ));
    }
    if !args.options.contains_key("docker-image") {
        return Err(CliError::usage("no default image: give --docker-image or DOCKER_IMAGE"));
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let name = args.name.clone().filter(|n| !n.is_empty());
    Ok(RegisterRequestFields {
        url,
        token: Secret::new(text(&args.token).trim()),
        registration_token: Secret::new(text(&args.registration_token).trim()),
        name: name.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned()),
        server_side: RegisterRequest {
            maintenance_note: text(&args.maintenance_note),
            tag_list: text(&args.tag_list),
            run_untagged: args.run_untagged.unwrap_or(false),
            locked: args.locked.unwrap_or(true),
            access_level: text(&args.access_level),
            maximum_timeout: args.maximum_timeout.filter(|&t| t > 0),
            paused: args.paused.unwrap_or(false),
            ..RegisterRequest::default()
        },
        options: args.options.clone(),
        template: None,
    })
}

/// Takes from the template what has to be there.
fn fill(args: &mut RegisterArgs, template: &Template) {
    let given = |value: &Option<String>| value.clone().filter(|v| !v.is_empty());
    args.url = given(&args.url).or_else(|| template.text("url"));
    args.name = given(&args.name).or_else(|| template.text("name"));
    for (flag, key) in [("executor", "executor"), ("docker-image", "docker.image")] {
        if !args.options.contains_key(flag)
            && let Some(text) = template.text(key)
        {
            args.options.insert(flag.to_owned(), vec![text]);
        }
    }
}

/// Without `--non-interactive`, asks on the terminal for what is missing.
fn ask_for_missing(args: &mut RegisterArgs) -> Result<(), CliError> {
    if args.non_interactive || !rustix::termios::isatty(rustix::stdio::stdin()) {
        return Ok(());
    }
    if args.url.is_none() {
        args.url = Some(ask("URL of the GitLab instance", "https://gitlab.com/")?);
    }
    if args.token.is_none() && args.registration_token.is_none() {
        args.registration_token = Some(ask("Registration or authentication token", "")?);
    }
    if args.name.is_none() {
        args.name = Some(ask(
            "Name of the runner",
            &rustix::system::uname().nodename().to_string_lossy(),
        )?);
    }
    for (flag, question, default) in [
        ("executor", "Executor", "docker"),
        ("docker-image", "Default image of jobs", "debian:stable"),
    ] {
        if !args.options.contains_key(flag) {
            args.options.insert(flag.to_owned(), vec![ask(question, default)?]);
        }
    }
    Ok(())
}

fn ask(question: &str, default: &str) -> Result<String, CliError> {
    let shown = if default.is_empty() {
        String::new()
    } else {
        format!(" [{default}]")
    };
    output::raw(&format!("{question}{shown}: "))?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let answer = line.trim();
    Ok(if answer.is_empty() {
        default.to_owned()
    } else {
        answer.to_owned()
    })
}
