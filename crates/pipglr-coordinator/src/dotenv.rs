//! Variables that a job reports for the jobs that depend on it.
//!
//! Compat: GitLab app/services/ci/parse_dotenv_artifact_service.rb.

use flate2::read::MultiGzDecoder;
use std::io::{self, Read};

/// Bytes of a report, and variables in it.
const MAX_SIZE: u64 = 5 << 10;
const MAX_VARIABLES: usize = 20;

/// What is wrong with a report, in GitLab's words.
pub(crate) const TOO_BIG: &str = "Dotenv Artifact Too Big. Maximum Allowable Size: 5120";
pub(crate) const TOO_MANY: &str = "Dotenv files cannot have more than 20 variables";
pub(crate) const INVALID: &str = "Invalid Format";

/// Reads a report as it is uploaded: one or more gzip streams, or plain text.
pub(crate) fn read(file: impl Read, is_gzip: bool) -> Result<Vec<(String, String)>, &'static str> {
    let mut text = String::new();
    let read = if is_gzip {
        limited(MultiGzDecoder::new(file), &mut text)
    } else {
        limited(file, &mut text)
    };
    match read {
        Err(_) => Err(INVALID),
        Ok(size) if size > MAX_SIZE => Err(TOO_BIG),
        Ok(_) => parse(&text),
    }
}

fn limited(reader: impl Read, text: &mut String) -> io::Result<u64> {
    reader.take(MAX_SIZE + 1).read_to_string(text).map(|size| size as u64)
}

/// Every line is `KEY=VALUE`; values are taken as they are. Of a key that is there twice the last counts.
fn parse(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let (key, value) = line.split_once('=').ok_or(INVALID)?;
        let (key, value) = (key.trim(), value.trim());
        let begins = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(INVALID);
        }
        variables.retain(|(known, _)| known != key);
        variables.push((key.to_owned(), value.to_owned()));
    }
    if variables.len() > MAX_VARIABLES {
        return Err(TOO_MANY);
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::{INVALID, TOO_BIG, TOO_MANY, read};

    fn plain(text: &str) -> Result<Vec<(String, String)>, &'static str> {
        read(text.as_bytes(), false)
    }

    #[test]
    fn lines_are_keys_and_values_and_nothing_else() {
        let pairs = plain("A=1\n B = two words \nURL=https://x.test/?a=b\nQUOTED=\"x\"\nEMPTY=\nA=2\n").unwrap();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("B", "two words"),
                ("URL", "https://x.test/?a=b"),
                ("QUOTED", "\"x\""),
                ("EMPTY", ""),
                ("A", "2"),
            ]
        );
        assert_eq!(plain(""), Ok(Vec::new()));
        for wrong in [
            "A=1\n\nB=2\n",
            "# comment\n",
            "export A=1\n",
            "word\n",
            "1A=x\n",
            "A-B=x\n",
            "=x\n",
        ] {
            assert_eq!(plain(wrong), Err(INVALID), "{wrong:?}");
        }
        assert_eq!(read(&b"A=\xff\n"[..], false), Err(INVALID));
        assert_eq!(read(&b"A=1\n"[..], true), Err(INVALID));
    }

    #[test]
    fn reports_are_short() {
        let of = |count: usize| (0..count).fold(String::new(), |text, i| format!("{text}K{i}=v\n"));
        assert_eq!(plain(&of(20)).map(|v| v.len()), Ok(20));
        assert_eq!(plain(&of(21)), Err(TOO_MANY));
        assert_eq!(plain(&format!("A={}", "x".repeat(5118))).map(|v| v.len()), Ok(1));
        assert_eq!(plain(&format!("A={}", "x".repeat(5119))), Err(TOO_BIG));
    }
}
