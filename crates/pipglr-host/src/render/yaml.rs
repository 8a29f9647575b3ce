//! Plain values as YAML.

use serde_json::Value;
use std::fmt::Write as _;

/// Documents of one file.
#[must_use]
pub fn documents(all: &[Value]) -> String {
    all.iter().map(yaml).collect::<Vec<_>>().join("---\n")
}

/// A value in block style; texts that YAML could take for something else are quoted as JSON does it.
#[must_use]
pub fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, depth: usize, text: &mut String) {
    let margin = "  ".repeat(depth);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                // Writing to a text cannot fail.
                let _ = write!(text, "{margin}{}:", scalar(key));
                nested(value, depth, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                block(item, depth + 1, &mut inner);
                let _ = write!(text, "{margin}- {}", inner.trim_start());
            }
        }
        other => {
            let _ = writeln!(text, "{margin}{}", flat(other));
        }
    }
}

fn nested(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            block(value, depth + 1, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(value, depth, text);
        }
        other => {
            let _ = writeln!(text, " {}", flat(other));
        }
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(word) => scalar(word),
        other => other.to_string(),
    }
}

fn scalar(word: &str) -> String {
    let starts = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    let taken = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    if starts && plain && !taken.contains(&word.to_ascii_lowercase().as_str()) {
        word.to_owned()
    } else {
        Value::from(word).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::yaml;
    use serde_json::json;

    #[test]
    fn block_style() {
        let value = json!({"a": {"b": [1, "x y", {"c": true, "d": "yes"}], "e": {}}, "f": [], "g": "0444", "h/i": [["z"]], "j": "k: \"l\"\n"});
        assert_eq!(
            yaml(&value),
            "a:\n  b:\n  - 1\n  - \"x y\"\n  - c: true\n    d: \"yes\"\n  e: {}\nf: []\ng: \"0444\"\nh/i:\n- - z\nj: \"k: \\\"l\\\"\\n\"\n"
        );
    }
}
