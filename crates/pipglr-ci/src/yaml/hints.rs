//! What probably led to a syntax error. libyaml says what it stumbled over, not what somebody did wrong.

/// A hint for libyaml's words about a place of a text.
pub(super) fn hint(message: &str, text: &str, at: usize) -> Option<String> {
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let next = text[at..].chars().next();
    let says = |words: &str| message.contains(words);
    if indentation(line).contains('\t') {
        return Some("indent with spaces: YAML takes no tabs there".to_owned());
    }
    if let Some(hint) = ends_early(&text[line_start..at]) {
        return Some(hint);
    }
    let hint = if says("cannot start any token") {
        return Some(match next {
            Some('\t') => "indent with spaces: YAML takes no tabs there".to_owned(),
            Some(character) => format!("put the text in quotes: it cannot start with `{character}`"),
            None => return None,
        });
    } else if says("mapping values are not allowed") {
        return Some(mapping_value(&text[line_start..at], &text[..line_start]));
    } else if says("while scanning a quoted scalar") {
        "a quote is not closed; one in a text is written twice, or after `\\` within double quotes"
    } else if says("could not find expected ':'") {
        if let Some(hint) = no_blank(&text[..line_start]) {
            return Some(hint);
        }
        "a key is followed by `: `; a text of several lines needs `|` and indentation"
    } else if says("while scanning an alias") || says("while scanning an anchor") {
        "quote the text: `*` and `&` at its start stand for aliases and anchors"
    } else if says("while parsing a flow") {
        "close every `[` and `{`, separate by commas, or quote a text that starts with one"
    } else if says("while parsing a block mapping") || says("while parsing a block collection") {
        "compare the indentation with the lines before: keys of one mapping, or dashes of one list, start at one column; \
         a command of several lines starts with `- |`"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// A colon where there can be no key: either in a text, or after a key that is indented too far.
fn mapping_value(before: &str, lines_before: &str) -> String {
    if let Some((key, _)) = before.trim_start_matches(['-', ' ']).split_once(": ") {
        return format!("put the value of `{key}` in quotes: a colon followed by a blank makes it a mapping");
    }
    if let Some(hint) = no_blank(lines_before) {
        return hint;
    }
    let above = above(lines_before);
    let depth = |line: &str| indentation(line).len();
    match above {
        Some(above) if depth(above) < depth(before) => {
            "this line is indented further than the one before, which has a value already: start both at one column"
                .to_owned()
        }
        _ => "compare the indentation with the lines before: keys of one mapping start at one column".to_owned(),
    }
}

/// The last line that says something.
fn above(lines: &str) -> Option<&str> {
    lines.lines().rev().find(|line| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#')
    })
}

/// The line above is a key whose colon has no blank after it.
fn no_blank(lines_before: &str) -> Option<String> {
    let line = above(lines_before)?.trim();
    let (key, value) = line
        .split_once(':')
        .filter(|(_, value)| !value.starts_with([' ', '/']) && !value.is_empty())?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    (is_key && !line.contains(": ")).then(|| format!("a colon needs a blank after it: `{key}: {value}`"))
}

/// A value that starts with a quote or bracket and goes on after that was closed.
fn ends_early(before: &str) -> Option<String> {
    let value = before.trim_start().trim_start_matches("- ");
    let value = value.split_once(": ").map_or(value, |(_, value)| value).trim_start();
    let (open, close) = match value.chars().next()? {
        quote @ ('"' | '\'') => (quote, quote),
        '[' => ('[', ']'),
        '{' => ('{', '}'),
        _ => return None,
    };
    value[1..].contains(close).then(|| match open {
        '"' | '\'' => {
            format!("the text ends at its second `{close}` for YAML: put all of it in the other kind of quotes")
        }
        open => format!("what starts with `{open}` ends at `{close}` for YAML: put the whole text in quotes"),
    })
}
