//! `image:docker:platform`.

use crate::job::JobError;

/// A platform as `os/arch[/variant]`, with what was corrected.
#[derive(Debug, PartialEq, Eq)]
struct Platform {
    text: String,
    warning: Option<String>,
}

const ARCHITECTURES: [&str; 12] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x", "wasm",
];

/// The platform as podman takes it; what was corrected is a warning.
pub(super) fn normalized(text: &str, warnings: &mut Vec<String>) -> Result<String, JobError> {
    let platform = parse(text, crate::go_architecture()).map_err(JobError::Configuration)?;
    warnings.extend(platform.warning);
    Ok(platform.text)
}

/// Reads `arch`, `os`, `os/arch` or `os/arch/variant`; containers here are Linux's.
///
/// Compat: gitlab-runner executors/docker/docker.go, which reads it as containerd does.
fn parse(text: &str, host_architecture: &str) -> Result<Platform, String> {
    let invalid = |why: &str| format!("invalid platform {text:?}: {why}");
    let parts: Vec<String> = text.split('/').map(str::to_lowercase).collect();
    let plain = |part: &String| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    if parts.len() > 3 || !parts.iter().all(plain) {
        return Err(invalid("want os/architecture, such as linux/arm64"));
    }
    let (os, architecture, variant) = match parts.as_slice() {
        [one] => match architecture(one) {
            Some(known) => ("linux".to_owned(), known, None),
            None if is_os(one) => (one.clone(), (host_architecture.to_owned(), None), None),
            None => return Err(invalid("neither an operating system nor an architecture")),
        },
        [os, arch, rest @ ..] => (
            os.clone(),
            architecture(arch).unwrap_or_else(|| (arch.clone(), None)),
            rest.first().cloned(),
        ),
        [] => return Err(invalid("empty")),
    };
    if os == "windows" {
        return Err(invalid("Windows containers do not run here"));
    }
    let warning = (os != "linux").then(|| format!("platform {text:?}: containers here run Linux, not {os}"));
    let (name, implied) = architecture;
    let variant = variant.or(implied.map(str::to_owned));
    let text = match variant.filter(|v| !(name == "arm64" && v == "v8")) {
        Some(variant) => format!("linux/{name}/{variant}"),
        None => format!("linux/{name}"),
    };
    Ok(Platform { text, warning })
}

/// An architecture by Go's name, with the variant its other name implies.
fn architecture(name: &str) -> Option<(String, Option<&'static str>)> {
    let (known, variant) = match name {
        "x86_64" | "x86-64" => ("amd64", None),
        "aarch64" => ("arm64", None),
        "i386" => ("386", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        name => (*ARCHITECTURES.iter().find(|known| **known == name)?, None),
    };
    Some((known.to_owned(), variant))
}

fn is_os(name: &str) -> bool {
    matches!(
        name,
        "linux" | "windows" | "darwin" | "macos" | "freebsd" | "netbsd" | "openbsd" | "solaris"
    )
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn platforms_are_completed() {
        for (name, text, expected) in [
            ("architecture only", "arm64", Ok("linux/arm64")),
            ("another name", "aarch64", Ok("linux/arm64")),
            ("implied variant", "armhf", Ok("linux/arm/v7")),
            ("system only", "linux", Ok("linux/amd64")),
            ("both", "linux/s390x", Ok("linux/s390x")),
            ("upper case", "Linux/AMD64", Ok("linux/amd64")),
            ("with a variant", "linux/arm/v6", Ok("linux/arm/v6")),
            ("the usual variant", "linux/arm64/v8", Ok("linux/arm64")),
            ("another system", "darwin/arm64", Ok("linux/arm64")),
            ("unknown architecture", "linux/z80", Ok("linux/z80")),
            ("Windows", "windows/amd64", Err("Windows containers do not run here")),
            (
                "nonsense",
                "amiga",
                Err("neither an operating system nor an architecture"),
            ),
            ("too long", "a/b/c/d", Err("want os/architecture, such as linux/arm64")),
            (
                "nothing in it",
                "linux/",
                Err("want os/architecture, such as linux/arm64"),
            ),
        ] {
            let got = parse(text, "amd64").map(|p| p.text);
            let wanted = expected
                .map(str::to_owned)
                .map_err(|why| format!("invalid platform {text:?}: {why}"));
            assert_eq!(got, wanted, "{name}");
        }
        let warning = parse("darwin/arm64", "amd64").unwrap().warning.unwrap();
        assert_eq!(
            warning,
            "platform \"darwin/arm64\": containers here run Linux, not darwin"
        );
    }
}
