//! A file of systemd's syntax as a value, and its only writer.

use std::fmt::Write as _;

/// A unit file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    pub sections: Vec<Section>,
}

/// A section and its settings, in order. A setting that is a list is there several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub name: &'static str,
    pub settings: Vec<(&'static str, Setting)>,
}

/// A setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// Taken as it is, but for `%`.
    Plain(String),
    /// A command line's words: each is quoted.
    Words(Vec<String>),
}

impl Section {
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            settings: Vec::new(),
        }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, Setting::Plain(value.into())));
        self
    }

    #[must_use]
    pub fn with_words(mut self, name: &'static str, words: Vec<String>) -> Self {
        self.settings.push((name, Setting::Words(words)));
        self
    }
}

impl Unit {
    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (number, section) in self.sections.iter().enumerate() {
            let gap = if number == 0 { "" } else { "\n" };
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{gap}[{}]", section.name);
            for (name, value) in &section.settings {
                let value = match value {
                    Setting::Plain(value) => literal(value),
                    Setting::Words(words) => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
                };
                let _ = writeln!(text, "{name}={value}");
            }
        }
        text
    }
}

/// `%` begins a specifier of systemd's.
fn literal(value: &str) -> String {
    value.replace('%', "%%").replace('\n', " ")
}

/// A word as systemd.syntax(7) reads it in a command line.
fn quoted(word: &str) -> String {
    let word = word.replace('%', "%%").replace('$', "$$");
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\\' | ';');
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    let escaped: String = word
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

/// The settings of a section, in order, of a text that [`Unit::text`] wrote: names, and values as they are written.
pub(crate) fn settings<'t>(text: &'t str, section: &str) -> Vec<(&'t str, &'t str)> {
    let header = format!("[{section}]");
    let lines = text.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .collect()
}

/// What a [`Setting::Plain`] was written of.
pub(crate) fn plain(value: &str) -> String {
    value.replace("%%", "%")
}

/// What a word of [`Setting::Words`] was written of.
pub(crate) fn unquoted(word: &str) -> String {
    let inner = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else { return specifiers(word) };
    let mut text = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            other => text.extend(other),
        }
    }
    specifiers(&text)
}

fn specifiers(word: &str) -> String {
    word.replace("$$", "$").replace("%%", "%")
}

#[cfg(test)]
mod tests {
    use super::{Section, Unit, plain, quoted, settings, unquoted};

    #[test]
    fn what_was_written_is_read() {
        for word in [
            "a",
            "b c",
            "50%",
            "$X",
            "q\"",
            "*",
            "",
            "back\\slash",
            "two\nlines\t",
            "$$%%",
        ] {
            assert_eq!(unquoted(&quoted(word)), word);
        }
        let text =
            "# one\n[Unit]\nA=1\n\n[Container]\nImage=50%%\nPodmanArgs=--a=b\nPodmanArgs=\"x y\"\n\n[Service]\nA=2\n";
        assert_eq!(
            settings(text, "Container"),
            [("Image", "50%%"), ("PodmanArgs", "--a=b"), ("PodmanArgs", "\"x y\"")]
        );
        assert_eq!(plain("50%%"), "50%");
    }

    #[test]
    fn values_mean_themselves() {
        let words = ["a", "b c", "50%", "$X", "q\"", "*", ""].map(str::to_owned).into();
        let unit = Unit {
            sections: vec![
                Section::new("Unit").with("Description", "100% a b"),
                Section::new("Container").with_words("PodmanArgs", words),
            ],
        };
        assert_eq!(
            unit.text(),
            "[Unit]\nDescription=100%% a b\n\n[Container]\nPodmanArgs=a \"b c\" 50%% $$X \"q\\\"\" * \"\"\n"
        );
    }
}
