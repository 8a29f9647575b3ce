//! A shell in the container of a failed job, on our own terminal.

use super::logs::Logs;
use super::show::Style;
use crate::error::CliError;
use crate::job_log::shown;
use crate::output;
use anyhow::Context as _;
use pipglr_runner::containers::terminal::Shell;
use pipglr_runner::job::FailedJob;
use rustix::termios::{OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long the shell may take to come.
const START: Duration = Duration::from_secs(10);

/// Opens a shell and stays in it until it ends; the job goes on to its end then.
pub(super) async fn open(job: FailedJob, logs: &Logs) -> Result<(), CliError> {
    let style = Style::of_stdout();
    for line in logs.tail(job.id) {
        output::aside(shown(line, style.colours));
    }
    output::aside(format_args!(
        "{} has failed. This shell is in its container; when it ends, the container goes.",
        job.name
    ));
    match job.shells.open(START).await {
        Ok(shell) => Ok(converse(shell).await?),
        Err(error) => {
            output::aside(format_args!("no shell can be opened in it: {error:#}"));
            Ok(())
        }
    }
}

async fn converse(mut shell: Shell) -> anyhow::Result<()> {
    let mut terminal = Terminal::take()?;
    let mut resized = signal(SignalKind::window_change()).context("listen to SIGWINCH")?;
    let mut hung_up = signal(SignalKind::hangup()).context("listen to SIGHUP")?;
    terminal.tell_size(&shell).await;
    loop {
        tokio::select! {
            shown = shell.reader.next() => match shown? {
                Some(bytes) => terminal.write(&bytes)?,
                None => return Ok(()),
            },
            typed = terminal.keys.recv() => match typed {
                Some(keys) => shell.writer.write(&keys).await?,
                None => break,
            },
            _ = resized.recv() => terminal.tell_size(&shell).await,
            _ = hung_up.recv() => break,
        }
    }
    shell.hang_up().await;
    Ok(())
}

/// Our terminal, where every key is for the shell, until this value goes.
struct Terminal {
    file: File,
    before: Termios,
    keys: UnboundedReceiver<Vec<u8>>,
    over: Arc<AtomicBool>,
}

impl Terminal {
    fn take() -> anyhow::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .context("open the terminal")?;
        let before = tcgetattr(&file).context("ask for the terminal's modes")?;
        let mut raw = before.clone();
        raw.make_raw();
        // A read ends after a tenth of a second without a key: no key is taken from whoever has the terminal next.
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 1;
        tcsetattr(&file, OptionalActions::Flush, &raw).context("set the terminal's modes")?;
        let (sender, keys) = unbounded_channel();
        let over = Arc::new(AtomicBool::new(false));
        let terminal = Self {
            file,
            before,
            keys,
            over: over.clone(),
        };
        let mut input = terminal.file.try_clone().context("open the terminal")?;
        let read = move || {
            let mut buffer = [0; 4096];
            while !over.load(Ordering::Relaxed) {
                match input.read(&mut buffer) {
                    Ok(0) => {}
                    Ok(count) if sender.send(buffer[..count].to_vec()).is_ok() => {}
                    Ok(_) | Err(_) => return,
                }
            }
        };
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(read)
            .context("read from the terminal")?;
        Ok(terminal)
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)
    }

    async fn tell_size(&self, shell: &Shell) {
        if let Ok(size) = tcgetwinsize(&self.file) {
            shell.resize(size.ws_row, size.ws_col).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Err(error) = tcsetattr(&self.file, OptionalActions::Flush, &self.before) {
            output::aside(format_args!("the terminal is left as it is ({error}): type `reset`"));
        }
    }
}
