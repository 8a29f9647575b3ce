//! The stories of `pipglr-e2e`, and what they are told with: program, image and account.

use super::IMAGE;
use crate::image;
use anyhow::Context as _;
use pipglr_e2e::command::CommandExt as _;
use pipglr_e2e::host::{Account, STAGE_ACCOUNT};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Everything is built: telling them compiles nothing.
pub(super) struct Stories {
    account: Account,
    built: Built,
}

struct Built {
    /// Builds variants of the image.
    script: PathBuf,
    /// The one in the image.
    program: PathBuf,
    /// The stories' own.
    stories: PathBuf,
}

impl Stories {
    pub(super) fn prepare(say: &mut dyn FnMut(&str)) -> anyhow::Result<Self> {
        let account = Account::provide(STAGE_ACCOUNT, say)?;
        match build(&account, say) {
            Ok(built) => Ok(Self { account, built }),
            Err(error) => {
                account.close(false)?;
                Err(error)
            }
        }
    }

    /// Tells those whose name contains one of `selected`, all if there is none.
    pub(super) fn tell(self, selected: &[String], environment: &[(&str, String)]) -> anyhow::Result<()> {
        let mut stories = Command::new(&self.built.stories);
        stories
            .args(selected)
            .current_dir(pipglr_e2e::repository())
            .envs(environment.iter().map(|(key, value)| (*key, value)))
            .env("PIPGLR_STORY_IMAGE", IMAGE)
            .env("PIPGLR_STORY_BUILD", &self.built.script)
            .env("PIPGLR_STORY_PROGRAM", &self.built.program);
        let told = stories.run_inherited().context("stories");
        self.account.close(false)?;
        told
    }
}

fn build(account: &Account, say: &mut dyn FnMut(&str)) -> anyhow::Result<Built> {
    let builder = image::Builder::prepare(account, say)?;
    say("building the image");
    builder.build(IMAGE, &[])?;
    let script = std::env::temp_dir().join(format!("{STAGE_ACCOUNT}-build-variant"));
    write_script(&script, &builder.variant_command())?;
    Ok(Built {
        script,
        program: builder.program,
        stories: compile()?,
    })
}

/// The program of the stories. It is run by its path, as cargo would hold a lock that other compilations wait for.
fn compile() -> anyhow::Result<PathBuf> {
    let mut test = pipglr_e2e::cargo::cargo(&[
        "test",
        "--package=pipglr-e2e",
        "--test=stories",
        "--locked",
        "--quiet",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    let messages = test.stderr(Stdio::inherit()).run_text()?;
    let program = messages.lines().find_map(program_of_stories);
    program.context("cargo names no program of the stories")
}

/// Of a message of cargo's about what it has made.
fn program_of_stories(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let of_stories = message["target"]["name"] == "stories";
    let program = message["executable"].as_str().filter(|_| of_stories)?;
    Some(PathBuf::from(program))
}

/// A script that is the command followed by the script's arguments and the context.
fn write_script(path: &Path, command: &Command) -> anyhow::Result<()> {
    let quote = |w: &std::ffi::OsStr| format!("'{}'", w.to_string_lossy().replace('\'', "'\\''"));
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quote)
        .collect();
    let directory = command.get_current_dir().context("the build has a context")?;
    std::fs::write(
        path,
        format!(
            "#!/bin/sh\ncd '{}'\nexec {} \"$@\" .\n",
            directory.display(),
            words.join(" ")
        ),
    )?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
