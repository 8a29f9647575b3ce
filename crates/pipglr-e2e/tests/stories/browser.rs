//! A real browser without a window, driven from outside.

use anyhow::{Context as _, ensure};
use pipglr_e2e::host::packages;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use thirtyfour::{By, Capabilities, WebDriver, WebElement};
use tokio::runtime::Runtime;

const OPTIONS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,1000",
];

pub(crate) struct Browser<'a> {
    runtime: &'a Runtime,
    session: Option<WebDriver>,
    driver: Child,
    /// Goes with the browser.
    profile: tempfile::TempDir,
}

impl<'a> Browser<'a> {
    /// Starts the distribution's Chromium with a profile of its own; installs it where it is missing.
    pub(crate) fn start(runtime: &'a Runtime) -> anyhow::Result<Self> {
        packages::install(&packages::BROWSER, &mut |text| println!("      {text}"))?;
        // The client makes sure that it could speak TLS. Another one may have been there before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start chromedriver")?;
        let mut browser = Self {
            runtime,
            session: None,
            driver,
            profile: tempfile::tempdir()?,
        };
        let said = browser.driver.stdout.take().context("stdout was asked for")?;
        let port = BufReader::new(said)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                Some(
                    line.split_once("successfully on port ")?
                        .1
                        .trim_end_matches('.')
                        .to_owned(),
                )
            })
            .context("chromedriver ended without a port")?;
        let profile = format!("--user-data-dir={}", browser.profile.path().display());
        let arguments: Vec<&str> = OPTIONS.into_iter().chain([profile.as_str()]).collect();
        let mut wanted = Capabilities::new();
        wanted.set("browserName", "chrome")?;
        wanted.set("goog:chromeOptions", json!({ "args": arguments }))?;
        wanted.set("goog:loggingPrefs", json!({ "browser": "ALL", "performance": "ALL" }))?;
        let session = runtime.block_on(WebDriver::new(format!("http://127.0.0.1:{port}"), wanted));
        browser.session = Some(session.context("start the browser")?);
        Ok(browser)
    }

    fn session(&self) -> anyhow::Result<&WebDriver> {
        self.session.as_ref().context("the browser did not start")
    }

    /// Opens a file.
    pub(crate) fn open(&self, path: &Path) -> anyhow::Result<()> {
        let address = format!("file://{}", path.display());
        Ok(self.runtime.block_on(self.session()?.goto(address))?)
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&self, expression: &str) -> anyhow::Result<Value> {
        let script = format!("return ({expression});");
        let value = self.runtime.block_on(self.session()?.execute(script, Vec::new()));
        Ok(value.with_context(|| expression.to_owned())?.json().clone())
    }

    /// Fails unless an expression has this value in the page.
    pub(crate) fn expect(&self, expression: &str, expected: &Value) -> anyhow::Result<()> {
        let found = self.value(expression)?;
        ensure!(found == *expected, "{expression} is {found}, not {expected}");
        Ok(())
    }

    /// What it logged of `kind`, `browser` or `performance`, since it was asked last.
    pub(crate) fn log(&self, kind: &str) -> anyhow::Result<Vec<String>> {
        let entries = self.runtime.block_on(self.session()?.get_log(kind))?;
        Ok(entries.into_iter().map(|entry| entry.message).collect())
    }

    /// A command of the browser's own protocol.
    pub(crate) fn command(&self, name: &str, parameters: Value) -> anyhow::Result<Value> {
        let tools = self.session()?.cdp();
        Ok(self.runtime.block_on(tools.send_raw(name, parameters))?)
    }

    /// Clicks what this selector finds first.
    pub(crate) fn click(&self, selector: &str) -> anyhow::Result<()> {
        let element = self.find(selector)?;
        self.runtime
            .block_on(element.click())
            .with_context(|| selector.to_owned())
    }

    /// Types into what this selector finds first.
    pub(crate) fn write(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let element = self.find(selector)?;
        self.runtime
            .block_on(element.send_keys(text))
            .with_context(|| selector.to_owned())
    }

    fn find(&self, selector: &str) -> anyhow::Result<WebElement> {
        let found = self.runtime.block_on(self.session()?.find(By::Css(selector)));
        found.with_context(|| selector.to_owned())
    }

    /// A picture of the window as PNG.
    pub(crate) fn picture(&self, path: &Path) -> anyhow::Result<()> {
        let taken = self.runtime.block_on(self.session()?.screenshot(path));
        taken.with_context(|| format!("write {}", path.display()))
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            // The driver is ended in any case, and the browser with it.
            let _ = self.runtime.block_on(session.quit());
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
