//! Whether coordinators answer, for who asks how the runner is. An outage of theirs is no illness of the runner, which asks
//! again by itself.

use crate::config::RunnerConfig;
use crate::gitlab::Error;
use jiff::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Contacts of all runners that ask for jobs. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Contacts(Arc<Mutex<Vec<Weak<Contact>>>>);

/// One runner's contact to its coordinator.
#[derive(Debug)]
pub(super) struct Contact {
    name: String,
    url: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When all was well the last time, or the runner's beginning.
    good: Timestamp,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
enum Trouble {
    NoAnswer(String),
    WrongAnswer(String),
}

impl Contacts {
    /// That of a runner, for as long as it is kept.
    pub(super) fn begin(&self, runner: &RunnerConfig) -> Arc<Contact> {
        let contact = Arc::new(Contact {
            name: runner.name.clone(),
            url: runner.url.clone(),
            state: Mutex::new(State {
                good: Timestamp::now(),
                trouble: None,
            }),
        });
        let mut all = locked(&self.0);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&contact));
        contact
    }

    /// A line about each runner whose coordinator does not answer as it should, in the order they began.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let all = locked(&self.0);
        all.iter()
            .filter_map(Weak::upgrade)
            .filter_map(|contact| contact.trouble())
            .collect()
    }
}

impl Contact {
    /// The coordinator answered a request for a job.
    pub(super) fn good(&self) {
        *locked(&self.state) = State {
            good: Timestamp::now(),
            trouble: None,
        };
    }

    /// It did not, or not with what was asked for.
    pub(super) fn bad(&self, error: &Error) {
        locked(&self.state).trouble = Some(match error {
            Error::Unreachable { reason, .. } => Trouble::NoAnswer(reason.clone()),
            error => Trouble::WrongAnswer(error.to_string()),
        });
    }

    fn trouble(&self) -> Option<String> {
        let state = locked(&self.state);
        let (what, why) = match state.trouble.as_ref()? {
            Trouble::NoAnswer(why) => ("no answer", why),
            Trouble::WrongAnswer(why) => ("no good answer", why),
        };
        let since = state.good.strftime("%F %T UTC");
        let Self { name, url, .. } = self;
        Some(format!("GitLab at {url}, runner {name}: {what} since {since} ({why})"))
    }
}

fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Contacts;
    use crate::config::RunnerConfig;
    use crate::gitlab::Error;

    #[test]
    fn what_is_wrong_is_told_until_it_is_right_again() {
        let contacts = Contacts::default();
        let runner = RunnerConfig {
            name: "r".to_owned(),
            url: "https://g.example".to_owned(),
            ..RunnerConfig::default()
        };
        let contact = contacts.begin(&runner);
        assert!(contacts.troubles().is_empty());
        contact.bad(&Error::Unreachable {
            url: "https://g.example/api/v4/jobs/request".to_owned(),
            reason: "connection refused".to_owned(),
        });
        let told = contacts.troubles().join("\n");
        let parts: Vec<&str> = told.split("since ").collect();
        assert_eq!(parts[0], "GitLab at https://g.example, runner r: no answer ");
        assert!(parts[1].ends_with(" UTC (connection refused)"), "{told}");
        contact.good();
        assert!(contacts.troubles().is_empty());
        contact.bad(&Error::Decode {
            url: "https://g.example/".to_owned(),
            reason: "no JSON".to_owned(),
        });
        assert!(contacts.troubles()[0].contains(": no good answer since "));
        // Its configuration has changed, or it was taken out.
        drop(contact);
        assert!(contacts.troubles().is_empty());
    }
}
