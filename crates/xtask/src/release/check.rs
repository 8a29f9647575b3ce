//! A release as somebody sees it who has downloaded it: unpacked in a fresh directory, every file looked at.

use super::contents::{self, BILL, COMPLETIONS};
use super::signature;
use super::version::Version;
use super::{CHECKSUMS, SIGNATURE};
use crate::image::Arch;
use anyhow::{Context as _, ensure};
use pipglr_e2e::command::CommandExt as _;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Commands whose manual pages have to be there.
const PAGES: [&str; 6] = ["", "-ci-lint", "-local", "-runner", "-serve", "-up"];

/// Fails unless everything that belongs to `version` is in `out` and works; `public` is the key it is signed by.
pub(super) fn everything(version: &Version, out: &Path, public: Option<&str>) -> anyhow::Result<()> {
    let mut expected = BTreeSet::from([CHECKSUMS.to_owned()]);
    if public.is_some() {
        expected.insert(SIGNATURE.to_owned());
    }
    for arch in &Arch::ALL {
        let name = contents::name(version, arch);
        expected.extend([format!("{name}.tar.gz"), format!("{name}.cdx.json")]);
    }
    let there = names(out)?;
    ensure!(there == expected, "{there:?} instead of {expected:?}");
    signature::verify_checksums(out)?;
    if let Some(public) = public {
        signature::verify(out, public)?;
    }
    for arch in &Arch::ALL {
        let name = contents::name(version, arch);
        archive(version, arch, out, &name).with_context(|| format!("{name}.tar.gz"))?;
    }
    Ok(())
}

fn archive(version: &Version, arch: &Arch, out: &Path, name: &str) -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let mut tar = Command::new("tar");
    tar.arg("--extract")
        .arg("--file")
        .arg(out.join(format!("{name}.tar.gz")));
    tar.arg("--directory").arg(place.path()).run_text()?;
    ensure!(
        names(place.path())? == BTreeSet::from([name.to_owned()]),
        "more than {name}/ is in it"
    );
    let root = place.path().join(name);
    let expected = [
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "completions",
        "man",
        "pipglr",
        BILL,
    ];
    let there = names(&root)?;
    ensure!(
        there == expected.map(str::to_owned).into(),
        "{there:?} instead of {expected:?}"
    );
    for document in ["LICENSE", "README.md", "CHANGELOG.md"] {
        let ours = fs::read(pipglr_e2e::repository().join(document))?;
        ensure!(
            fs::read(root.join(document))? == ours,
            "{document} is not that of the repository"
        );
    }
    program(version, arch, &root.join("pipglr"))?;
    for page in PAGES {
        let page = root.join("man/man1").join(format!("pipglr{page}.1"));
        let text = fs::read_to_string(&page).with_context(|| format!("read {}", page.display()))?;
        ensure!(text.contains(".TH"), "{} is no manual page", page.display());
    }
    for (shell, file) in COMPLETIONS {
        let file = root.join("completions").join(shell).join(file);
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        ensure!(text.contains("pipglr"), "{} completes nothing", file.display());
    }
    let bill = fs::read(out.join(format!("{name}.cdx.json")))?;
    ensure!(
        fs::read(root.join(BILL))? == bill,
        "the bill of materials inside is another one"
    );
    let missing = missing(&serde_json::from_slice(&bill)?, &linked(arch)?);
    ensure!(
        missing.is_empty(),
        "linked, and not in the bill of materials: {missing:?}"
    );
    Ok(())
}

/// It is static, for this architecture, and tells this version.
fn program(version: &Version, arch: &Arch, program: &Path) -> anyhow::Result<()> {
    let mode = fs::metadata(program)?.permissions().mode();
    ensure!(mode & 0o777 == 0o755, "the program's mode is {mode:o}");
    let mut command = if arch.is_here() {
        Command::new(program)
    } else {
        let mut emulator = Command::new(format!("qemu-{}-static", arch.machine()));
        emulator.arg(program);
        emulator
    };
    let told = command.arg("--version").env_clear().run_text()?;
    ensure!(told.trim() == format!("pipglr {version}"), "the program says {told}");
    Ok(())
}

/// Names and versions of the crates that are linked into the program, as cargo resolves Cargo.lock.
fn linked(arch: &Arch) -> anyhow::Result<BTreeSet<(String, String)>> {
    let mut tree = pipglr_e2e::cargo::cargo(&["tree", "--locked", "--package=pipglr", "--edges=normal,no-proc-macro"]);
    let tree = tree.args(["--prefix=none", "--target", arch.target]).run_text()?;
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    });
    let crates: BTreeSet<_> = crates.collect();
    ensure!(crates.len() > 100, "cargo tree lists {} crates", crates.len());
    Ok(crates)
}

/// What of `linked` the bill does not name.
fn missing(bill: &Value, linked: &BTreeSet<(String, String)>) -> Vec<(String, String)> {
    let components = bill["components"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = components.iter().chain([&bill["metadata"]["component"]]);
    let named: BTreeSet<(&str, &str)> = named
        .filter_map(|component| Some((component["name"].as_str()?, component["version"].as_str()?)))
        .collect();
    let is_named = |(name, version): &&(String, String)| named.contains(&(name.as_str(), version.as_str()));
    linked.iter().filter(|one| !is_named(one)).cloned().collect()
}

fn names(directory: &Path) -> anyhow::Result<BTreeSet<String>> {
    let entries = fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_is_not_in_the_bill_is_told() {
        let bill = serde_json::json!({
            "metadata": { "component": { "name": "pipglr", "version": "1.0.0" } },
            "components": [{ "name": "a", "version": "1.0.0" }],
        });
        let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let linked = BTreeSet::from([pair("a", "1.0.0"), pair("a", "2.0.0"), pair("pipglr", "1.0.0")]);
        assert_eq!(missing(&bill, &linked), [pair("a", "2.0.0")]);
    }

    #[test]
    fn a_directory_that_lacks_something_is_no_release() {
        let out = tempfile::tempdir().unwrap();
        std::fs::write(out.path().join(CHECKSUMS), "").unwrap();
        let version = Version::of_workspace().unwrap();
        let error = everything(&version, out.path(), None).unwrap_err().to_string();
        assert!(error.contains("linux-arm64.tar.gz"), "{error}");
    }
}
