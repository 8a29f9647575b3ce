//! Replaces secret values in a byte stream by `[MASKED]`, across write boundaries.
//!
//! A filter holds back the shortest tail that could still become part of a secret; [`Masker::flush`] releases it.

use aho_corasick::{AhoCorasick, MatchKind};
use std::collections::BTreeSet;

/// What a secret is replaced by.
pub const MASK: &[u8] = b"[MASKED]";

/// Masks literal phrases, then the rest of tokens that start with a known prefix, then URL parameters.
#[derive(Debug, Clone)]
pub struct Masker {
    phrases: Option<Phrases>,
    url_parameters: TailMasker,
    prefixes: TailMasker,
}

impl Masker {
    /// Builds a masker for `phrases` (trimmed, empty ones dropped) and token `prefixes`.
    ///
    /// Compat: gitlab-runner common/buildlogger; the prefix stays, the run of token characters behind it is masked.
    #[must_use]
    pub fn new<'a>(phrases: impl IntoIterator<Item = &'a str>, prefixes: &[String]) -> Self {
        Self {
            phrases: Phrases::new(phrases),
            url_parameters: TailMasker::url_parameters(),
            prefixes: TailMasker::token_prefixes(prefixes),
        }
    }

    /// Appends the masked form of `input` to `out`; some bytes may be held back.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut stage = Vec::with_capacity(input.len());
        match &mut self.phrases {
            Some(phrases) => phrases.push(input, &mut stage),
            None => stage.extend_from_slice(input),
        }
        self.tails(&stage, out);
    }

    /// Releases what is held back.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        let mut stage = Vec::new();
        if let Some(phrases) = &mut self.phrases {
            phrases.flush(&mut stage);
        }
        let mut second = Vec::new();
        self.url_parameters.push(&stage, &mut second);
        self.url_parameters.flush(&mut second);
        self.prefixes.push(&second, out);
        self.prefixes.flush(out);
    }

    fn tails(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut stage = Vec::with_capacity(input.len());
        self.url_parameters.push(input, &mut stage);
        self.prefixes.push(&stage, out);
    }
}

/// Literal phrases; of several that start at one place the longest wins.
#[derive(Debug, Clone)]
struct Phrases {
    automaton: AhoCorasick,
    patterns: Vec<Vec<u8>>,
    longest: usize,
    held: Vec<u8>,
}

impl Phrases {
    fn new<'a>(phrases: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let unique: BTreeSet<&[u8]> = phrases
            .into_iter()
            .map(str::trim)
            .filter(|p| !p.is_empty())
            .map(str::as_bytes)
            .collect();
        let patterns: Vec<Vec<u8>> = unique.into_iter().map(<[u8]>::to_vec).collect();
        let longest = patterns.iter().map(Vec::len).max()?;
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)
            .expect("literal patterns that fit a job payload fit an automaton");
        Some(Self {
            automaton,
            patterns,
            longest,
            held: Vec::new(),
        })
    }

    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut buffer = std::mem::take(&mut self.held);
        buffer.extend_from_slice(input);
        let mut done = 0;
        let mut hold = self.hold_from(&buffer, 0);
        while let Some(found) = self.automaton.find(&buffer[done..]) {
            let (start, end) = (done + found.start(), done + found.end());
            if start >= hold {
                break;
            }
            out.extend_from_slice(&buffer[done..start]);
            out.extend_from_slice(MASK);
            done = end;
            if hold < done {
                hold = self.hold_from(&buffer, done);
            }
        }
        out.extend_from_slice(&buffer[done..hold.max(done)]);
        buffer.drain(..hold.max(done));
        self.held = buffer;
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        let mut done = 0;
        for found in self.automaton.find_iter(&held) {
            out.extend_from_slice(&held[done..found.start()]);
            out.extend_from_slice(MASK);
            done = found.end();
        }
        out.extend_from_slice(&held[done..]);
    }

    /// Where the longest tail begins that is a proper prefix of some phrase; the buffer's end if there is none.
    fn hold_from(&self, buffer: &[u8], from: usize) -> usize {
        let first = buffer.len().saturating_sub(self.longest - 1).max(from);
        (first..buffer.len())
            .find(|&at| {
                let tail = &buffer[at..];
                self.patterns
                    .iter()
                    .any(|p| p.len() > tail.len() && p.starts_with(tail))
            })
            .unwrap_or(buffer.len())
    }
}

/// Masks the run of characters that follows a trigger such as `glpat-` or `?private_token=`.
#[derive(Debug, Clone)]
struct TailMasker {
    triggers: Vec<Vec<u8>>,
    ignore_case: bool,
    ends_run: fn(u8) -> bool,
    held: Vec<u8>,
    in_run: bool,
    masked_this_run: bool,
}

const URL_PARAMETERS: [&str; 6] = [
    "private_token",
    "authenticity_token",
    "rss_token",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
];

impl TailMasker {
    fn url_parameters() -> Self {
        let triggers = URL_PARAMETERS.iter().flat_map(|p| [format!("?{p}="), format!("&{p}=")]);
        Self::new(triggers.map(String::into_bytes).collect(), true, |b| {
            matches!(b, b'?' | b'&') || b.is_ascii_whitespace() || b.is_ascii_control()
        })
    }

    fn token_prefixes(prefixes: &[String]) -> Self {
        let triggers = prefixes
            .iter()
            .map(|p| p.trim().as_bytes().to_vec())
            .filter(|p| !p.is_empty());
        Self::new(triggers.collect(), false, |b| {
            !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'=' | b'-'))
        })
    }

    fn new(triggers: Vec<Vec<u8>>, ignore_case: bool, ends_run: fn(u8) -> bool) -> Self {
        Self {
            triggers,
            ignore_case,
            ends_run,
            held: Vec::new(),
            in_run: false,
            masked_this_run: false,
        }
    }

    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for &byte in input {
            if self.in_run {
                if !(self.ends_run)(byte) {
                    if !self.masked_this_run {
                        out.extend_from_slice(MASK);
                        self.masked_this_run = true;
                    }
                    continue;
                }
                self.in_run = false;
            }
            self.step(byte, out);
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.held.push(byte);
        loop {
            if self.triggers.iter().any(|t| self.same(t, &self.held)) {
                out.append(&mut self.held);
                self.in_run = true;
                self.masked_this_run = false;
                return;
            }
            let could_grow = self
                .triggers
                .iter()
                .any(|t| t.len() > self.held.len() && self.same(&t[..self.held.len()], &self.held));
            if could_grow || self.held.is_empty() {
                return;
            }
            out.push(self.held.remove(0));
        }
    }

    fn same(&self, a: &[u8], b: &[u8]) -> bool {
        if self.ignore_case {
            a.eq_ignore_ascii_case(b)
        } else {
            a == b
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.in_run = false;
    }
}

#[cfg(test)]
mod tests {
    use super::Masker;

    fn run(phrases: &[&str], prefixes: &[&str], chunks: &[&[u8]]) -> String {
        let prefixes: Vec<String> = prefixes.iter().map(|p| (*p).to_owned()).collect();
        let mut masker = Masker::new(phrases.iter().copied(), &prefixes);
        let mut out = Vec::new();
        for chunk in chunks {
            masker.push(chunk, &mut out);
        }
        masker.flush(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn phrases_and_tokens_are_masked_wherever_the_stream_is_cut() {
        let cases: &[(&[&str], &str, &str)] = &[
            (&["secret"], "a secret b", "a [MASKED] b"),
            (&["ab", "abc"], "xabcx ab", "x[MASKED]x [MASKED]"),
            (&["abcd", "bc"], "abce", "a[MASKED]e"),
            (&["aab"], "aaab", "a[MASKED]"),
            (&[" trimmed "], "is trimmed here", "is [MASKED] here"),
            (&["", " "], "nothing", "nothing"),
            (&["line1\nline2"], "x line1\nline2 y", "x [MASKED] y"),
            (&[], "token glpat-abc.DEF_1 end", "token glpat-[MASKED] end"),
            (&[], "glpat- glpat", "glpat- glpat"),
            (
                &[],
                "u?private_token=abc&x=1 &RSS_TOKEN=q",
                "u?private_token=[MASKED]&x=1 &RSS_TOKEN=[MASKED]",
            ),
        ];
        for (phrases, input, expected) in cases {
            let bytes = input.as_bytes();
            for cut in 0..=bytes.len() {
                let got = run(phrases, &["glpat-"], &[&bytes[..cut], &bytes[cut..]]);
                assert_eq!(&got, expected, "{input:?} cut at {cut}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(&run(phrases, &["glpat-"], &single), expected, "{input:?} byte by byte");
        }
    }
}
