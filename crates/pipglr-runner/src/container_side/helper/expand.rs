//! Shell-like `$NAME` and `${NAME:-default}` in artifact names and paths, against the helper's environment.
//!
//! Compat: gitlab-runner uses mvdan.cc/sh `shell.Expand`: parameters only, no commands, no globbing; text that cannot
//! be parsed is used as it is.

use super::Environment;

/// Expands `text`, or gives it back unchanged with the reason why not.
pub(super) fn expand(text: &str, environment: &Environment) -> Result<String, &'static str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(inner) = rest.strip_prefix('{') {
            let end = inner.find('}').ok_or("`${` without `}`")?;
            out.push_str(&parameter(&inner[..end], environment)?);
            rest = &inner[end + 1..];
        } else if rest.starts_with('(') {
            return Err("command substitution is not allowed");
        } else {
            let len = name_length(rest);
            if len == 0 {
                out.push('$');
            } else {
                out.push_str(environment.get(&rest[..len]).map_or("", String::as_str));
                rest = &rest[len..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// What an operator makes of a value and its word.
type Form = fn(&str, &str) -> String;

fn parameter(inner: &str, environment: &Environment) -> Result<String, &'static str> {
    let len = name_length(inner);
    if len == 0 {
        return Err("`${}` without a name");
    }
    let value = environment.get(&inner[..len]).map_or("", String::as_str);
    let operator = &inner[len..];
    if operator.is_empty() {
        return Ok(value.to_owned());
    }
    let forms: [(&str, Form); 8] = [
        (":-", |value, word| {
            if value.is_empty() {
                word.to_owned()
            } else {
                value.to_owned()
            }
        }),
        ("-", |value, word| {
            if value.is_empty() {
                word.to_owned()
            } else {
                value.to_owned()
            }
        }),
        (":+", |value, word| {
            if value.is_empty() {
                String::new()
            } else {
                word.to_owned()
            }
        }),
        ("+", |value, word| {
            if value.is_empty() {
                String::new()
            } else {
                word.to_owned()
            }
        }),
        ("##", |value, word| value.strip_prefix(word).unwrap_or(value).to_owned()),
        ("#", |value, word| value.strip_prefix(word).unwrap_or(value).to_owned()),
        ("%%", |value, word| value.strip_suffix(word).unwrap_or(value).to_owned()),
        ("%", |value, word| value.strip_suffix(word).unwrap_or(value).to_owned()),
    ];
    for (sign, form) in forms {
        if let Some(word) = operator.strip_prefix(sign) {
            return Ok(form(value, word));
        }
    }
    Err("unknown parameter expansion")
}

fn name_length(text: &str) -> usize {
    let first = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if first {
        text.bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count()
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::expand;
    use crate::container_side::helper::Environment;

    #[test]
    fn parameters_are_expanded() {
        let env = Environment::from([("A".into(), "x/y".into()), ("V".into(), "1.2.tar".into())]);
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("$A/z", Ok("x/y/z")),
            ("${A}z", Ok("x/yz")),
            ("$NOPE.", Ok(".")),
            ("${NOPE:-d}", Ok("d")),
            ("${A:+set}", Ok("set")),
            ("${V%.tar}", Ok("1.2")),
            ("${V#1.}", Ok("2.tar")),
            ("cost: 5$", Ok("cost: 5$")),
            ("$(id)", Err("command substitution is not allowed")),
            ("${A", Err("`${` without `}`")),
        ] {
            assert_eq!(expand(text, &env), expected.map(str::to_owned), "{text}");
        }
    }
}
