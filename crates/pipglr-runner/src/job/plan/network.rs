//! How a job's containers are connected: to each other and to the world.

use super::names::Names;
use crate::config::DockerConfig;

/// The network of all containers of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkPlan {
    /// What podman does by itself: a way out, no way to each other.
    Default,
    /// No network.
    None,
    /// That of the runner's own container.
    Host,
    /// That of another container.
    Container(String),
    /// A namespace bound to a file.
    Path(String),
    /// `pasta` or `slirp4netns` with options.
    Program { name: String, options: Vec<String> },
    /// Joined bridges.
    Bridge {
        /// Made for the job, with names for its containers.
        own: Option<OwnNetwork>,
        /// One that was there before.
        further: Option<String>,
    },
}

/// A bridge that is made for one job and removed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnNetwork {
    pub name: String,
    pub ipv6: bool,
    /// 0 is the engine's default.
    pub mtu: u32,
}

/// Where a job's containers find a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// By name, in the job's own network.
    Name,
    /// All share one network namespace.
    Loopback,
    /// Not at all.
    Nowhere,
}

impl NetworkPlan {
    /// The network made for the job, if there is one.
    #[must_use]
    pub fn own(&self) -> Option<&OwnNetwork> {
        match self {
            Self::Bridge { own, .. } => own.as_ref(),
            _ => None,
        }
    }

    /// Where containers of the job find its services.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match self {
            Self::Bridge { own: Some(_), .. } => Reach::Name,
            Self::Host | Self::Container(_) | Self::Path(_) => Reach::Loopback,
            _ => Reach::Nowhere,
        }
    }
}

/// A job gets a network of its own if it has services, or if configuration asks for one.
///
/// gitlab-runner connects services by `extra_hosts` or, with `FF_NETWORK_PER_BUILD`, by a network; here it is always
/// the latter, so that services see each other too.
pub(super) fn lower(
    docker: &DockerConfig,
    names: &Names,
    services: bool,
    per_build: bool,
    warnings: &mut Vec<String>,
) -> NetworkPlan {
    let own = || OwnNetwork {
        name: names.unique.clone(),
        ipv6: docker.enable_ipv6,
        mtu: docker.network_mtu,
    };
    let bridge = |further: Option<&str>| NetworkPlan::Bridge {
        own: (services || further.is_none()).then(own),
        further: further.map(str::to_owned),
    };
    let mode = docker.network_mode.as_str();
    let (kind, value) = mode.split_once(':').map_or((mode, ""), |(kind, value)| (kind, value));
    let unnamed = |plan: NetworkPlan, warnings: &mut Vec<String>| {
        if services {
            let how = if plan.reach() == Reach::Loopback {
                "are reached at 127.0.0.1, not by name"
            } else {
                "cannot be reached"
            };
            warnings.push(format!("services {how}: network_mode of this runner is {mode:?}"));
        }
        plan
    };
    match (kind, value) {
        ("", _) if !services && !per_build => NetworkPlan::Default,
        ("" | "bridge" | "default" | "private", _) => bridge(None),
        // Services are put into /etc/hosts.
        ("host", _) => NetworkPlan::Host,
        ("none", _) => unnamed(NetworkPlan::None, warnings),
        ("container", name) => unnamed(NetworkPlan::Container(name.to_owned()), warnings),
        ("ns", path) => unnamed(NetworkPlan::Path(path.to_owned()), warnings),
        ("pasta" | "slirp4netns", _) if services => {
            warnings.push(format!(
                "network_mode {mode:?} has no effect on this job: its services need a bridge network"
            ));
            bridge(None)
        }
        ("pasta" | "slirp4netns", options) => NetworkPlan::Program {
            name: kind.to_owned(),
            options: options
                .split(',')
                .filter(|o| !o.is_empty())
                .map(str::to_owned)
                .collect(),
        },
        _ => bridge(Some(mode)),
    }
}

#[cfg(test)]
mod tests {
    use super::{NetworkPlan, Reach, lower};
    use crate::config::DockerConfig;
    use crate::job::plan::names::Names;

    /// network_mode, services, FF_NETWORK_PER_BUILD; a network of its own, a further one, how services are reached,
    /// whether there is a warning.
    #[test]
    fn a_network_is_made_when_it_is_needed() {
        let cases = [
            ("", false, false, false, None, Reach::Nowhere, false),
            ("", true, false, true, None, Reach::Name, false),
            ("", false, true, true, None, Reach::Name, false),
            ("bridge", false, false, true, None, Reach::Name, false),
            ("host", true, true, false, None, Reach::Loopback, false),
            ("none", false, false, false, None, Reach::Nowhere, false),
            ("none", true, false, false, None, Reach::Nowhere, true),
            ("container:x", true, false, false, None, Reach::Loopback, true),
            ("ns:/run/n", true, false, false, None, Reach::Loopback, true),
            ("pasta:-6", false, false, false, None, Reach::Nowhere, false),
            ("slirp4netns", true, false, true, None, Reach::Name, true),
            ("mine", false, true, false, Some("mine"), Reach::Nowhere, false),
            ("mine", true, false, true, Some("mine"), Reach::Name, false),
        ];
        for (mode, services, per_build, own, further, reach, warns) in cases {
            let docker = DockerConfig {
                network_mode: mode.to_owned(),
                enable_ipv6: true,
                network_mtu: 1400,
                ..DockerConfig::default()
            };
            let mut warnings = Vec::new();
            let names = Names::for_tests("u");
            let plan = lower(&docker, &names, services, per_build, &mut warnings);
            let case = format!("{mode:?} {services} {per_build}: {plan:?}");
            assert_eq!(plan.own().is_some(), own, "{case}");
            if let Some(network) = plan.own() {
                assert_eq!((network.name.as_str(), network.ipv6, network.mtu), ("u", true, 1400));
            }
            let joined = match &plan {
                NetworkPlan::Bridge { further, .. } => further.as_deref(),
                _ => None,
            };
            assert_eq!(
                (joined, plan.reach(), !warnings.is_empty()),
                (further, reach, warns),
                "{case}"
            );
        }
    }
}
