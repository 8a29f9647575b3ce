//! The page about a run, made by a real run and looked at in a real browser.

use crate::browser::Browser;
use crate::stage::{Stage, wait_for};
use anyhow::{Context as _, ensure};
use pipglr_e2e::{HOST_LOOPBACK, cache, sample};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A job that fails after another, one that may fail, one that is left out, and words that would be a script.
const PIPELINE: &str = "\
default: { image: '@SMALL@' }\n\
variables: { GIT_STRATEGY: none }\n\
stages: [build, test, deploy]\n\
build:\n  stage: build\n  script: ['mkdir out; seq 20000 > out/numbers; cat out/numbers']\n  artifacts: { paths: [out] }\n\
lint:\n  stage: test\n  allow_failure: true\n  script: ['echo careless >&2; exit 2']\n\
unit:\n  stage: test\n  needs: [build]\n  script:\n\
\x20   - printf '\\033[32mok\\033[0m first\\n\\033[31;1mFAILED\\033[0m second needle\\n'\n\
\x20   - echo '</div></script><script>document.title=\"taken over\"</script><img src=http://192.0.2.1/x>'\n\
\x20   - exit 3\n\
deploy: { stage: deploy, script: ['true'] }\n";

pub(crate) fn in_a_browser(stage: &mut Stage) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let page = directory.path().join("page.html");
    run(stage, directory.path(), &page)?;
    let browser = Browser::start(&stage.runtime)?;
    browser.open(&page)?;
    content(&browser)?;
    folding_and_finding(&browser)?;
    nothing_outside(&browser)?;
    pictures(&browser)
}

/// Runs the pipeline by the commands a user types; the page is at `page` then.
fn run(stage: &Stage, directory: &Path, page: &Path) -> anyhow::Result<()> {
    let pipeline = PIPELINE.replace("@SMALL@", &stage.small());
    let project = sample::from_files(&directory.join("project"), &[(".gitlab-ci.yml", &pipeline)])?;
    let mut serving = Serving::start(&project, directory, page)?;
    let (url, token) = serving.credentials()?;
    stage.register_at(&url, &token, &[])?;
    stage.configure_and_run(|text| text)?;
    let status = wait_for("the pipeline to end", Duration::from_secs(180), || {
        Ok(serving.child.try_wait()?)
    })?;
    ensure!(status.code() == Some(3), "pipglr serve --once ended with {status}");
    Ok(())
}

struct Serving {
    child: Child,
    credentials: PathBuf,
}

impl Serving {
    fn start(project: &Path, directory: &Path, page: &Path) -> anyhow::Result<Self> {
        let program = std::env::var("PIPGLR_STORY_PROGRAM").context("PIPGLR_STORY_PROGRAM is not set")?;
        let credentials = directory.join("credentials");
        let child = Command::new(program)
            .args(["serve", "--once", "--listen=127.0.0.1:0"])
            .arg(format!("--external-url=http://{HOST_LOOPBACK}:{{port}}"))
            .arg("--repo")
            .arg(project)
            .arg("--data-dir")
            .arg(directory.join("data"))
            .arg("--credentials-file")
            .arg(&credentials)
            .arg("--report")
            .arg(page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("start pipglr serve")?;
        Ok(Self { child, credentials })
    }

    /// URL and token for a runner.
    fn credentials(&mut self) -> anyhow::Result<(String, String)> {
        let text = wait_for("pipglr serve", Duration::from_secs(30), || {
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "pipglr serve ended with {ended:?}");
            Ok(std::fs::read_to_string(&self.credentials).ok())
        })?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map(str::to_owned).with_context(|| format!("no {key}"))
        };
        Ok((value("CI_SERVER_URL=")?, value("CI_SERVER_TOKEN=")?))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What stands on the page, as a reader gets it.
fn content(browser: &Browser<'_>) -> anyhow::Result<()> {
    let texts =
        |selector: &str| format!("Array.from(document.querySelectorAll('{selector}'), e => e.innerText.trim())");
    browser.expect(&texts(".failure h3 a"), &json!(["unit", "lint"]))?;
    browser.expect(&texts(".job > summary b"), &json!(["unit", "lint", "build", "deploy"]))?;
    browser.expect(&texts(".state"), &json!(["✗ failed"]))?;
    browser.expect("document.title.includes('taken over')", &json!(false))?;
    browser.expect("document.querySelectorAll('script, img').length", &json!(1))?;
    for part in ["exit code 3", "FAILED second needle", "</script><script>document.title"] {
        let shown = browser.value("document.querySelector('.failure').innerText")?;
        ensure!(
            shown.as_str().is_some_and(|text| text.contains(part)),
            "{part:?} is not in {shown}"
        );
    }
    browser.expect(
        "Array.from(document.querySelectorAll('.time tbody tr')).map(r => [r.querySelector('.name a').innerText, r.querySelector('.for').innerText].join()).includes('unit,build')",
        &json!(true),
    )?;
    browser.expect("document.querySelectorAll('.time line').length > 0", &json!(true))?;
    browser.expect(
        "document.querySelector('.artifacts a').textContent",
        &json!("artifacts.zip"),
    )?;
    browser.expect(
        "getComputedStyle(document.querySelector('.failure .log span.f1')).color",
        &json!("rgb(255, 107, 100)"),
    )
}

/// A link opens a job, the buttons and the search do what they say, times come and go.
fn folding_and_finding(browser: &Browser<'_>) -> anyhow::Result<()> {
    let is_open = "document.querySelector('.job').open";
    browser.expect(is_open, &json!(false))?;
    browser.click(".failure h3 a")?;
    browser.expect(is_open, &json!(true))?;
    browser.click(".job[open] .sec[open] > summary")?;
    browser.expect("document.querySelectorAll('.job .sec:not([open])').length", &json!(1))?;
    browser.click("#fold")?;
    browser.expect("document.querySelectorAll('details[open]').length", &json!(0))?;
    // The number stands in the middle of a long log; Enter goes to the first line that has it.
    browser.write("#find", "19876\u{e007}")?;
    browser.expect("document.querySelector('.now').innerText", &json!("19876"))?;
    browser.expect("document.querySelector('.now').closest('.job').open", &json!(true))?;
    browser.expect("document.querySelector('#found').value", &json!("1 of 1"))?;
    let time = "getComputedStyle(document.querySelector('.log time')).display";
    browser.expect(time, &json!("none"))?;
    browser.click("#times")?;
    browser.expect(time, &json!("inline"))
}

/// Nothing was asked of any network, and the browser has nothing to complain about.
fn nothing_outside(browser: &Browser<'_>) -> anyhow::Result<()> {
    let complaints = browser.log("browser")?;
    ensure!(complaints.is_empty(), "{complaints:#?}");
    let events = browser.log("performance")?;
    // A browser begins with a page of its own.
    let addresses = events.iter().filter_map(|event| requested(event));
    let addresses: Vec<String> = addresses.skip_while(|address| !address.starts_with("file:")).collect();
    ensure!(!addresses.is_empty(), "not even the page was asked for");
    let outside: Vec<&String> = addresses
        .iter()
        .filter(|address| !address.starts_with("file:"))
        .collect();
    ensure!(outside.is_empty(), "{outside:?}");
    Ok(())
}

fn requested(event: &str) -> Option<String> {
    let message: Value = serde_json::from_str(event).ok()?;
    let message = &message["message"];
    (message["method"] == "Network.requestWillBeSent")
        .then(|| message["params"]["request"]["url"].as_str().map(str::to_owned))
        .flatten()
}

/// Light, dark and narrow, for a person to look at; nothing may stick out of the window.
fn pictures(browser: &Browser<'_>) -> anyhow::Result<()> {
    let directory = cache().join("report");
    std::fs::create_dir_all(&directory)?;
    browser.click("#fold")?;
    for (name, scheme, width) in [
        ("light", "light", 1280),
        ("dark", "dark", 1280),
        ("narrow", "light", 400),
    ] {
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.command("Emulation.setEmulatedMedia", scheme)?;
        let size = json!({ "width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false });
        browser.command("Emulation.setDeviceMetricsOverride", size)?;
        browser.value("scrollTo(0, 0)")?;
        browser.expect("document.documentElement.scrollWidth <= innerWidth", &json!(true))?;
        browser.picture(&directory.join(format!("{name}.png")))?;
    }
    println!("      pictures: {}", directory.display());
    Ok(())
}
