//! `File.fnmatch` with `PATHNAME`, `DOTMATCH` and `EXTGLOB`: the globs of `changes` and `exists`.
//!
//! Compat: Ruby's dir.c. `**` is recursive only as a whole component before a `/`; `src/**` is one level. Neither the
//! globs of `include:local` nor those of artifacts are these.

/// Alternatives that the braces of one pattern may make. Ruby would be busy for as long as they take.
const MAX_ALTERNATIVES: usize = 4096;

/// One pattern, its braces expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    alternatives: Vec<Vec<char>>,
    /// There are more alternatives than anyone would wait for: it matches everything.
    boundless: bool,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        let mut alternatives = Vec::new();
        let complete = expand_braces(pattern.chars().collect(), &mut alternatives);
        Self {
            alternatives,
            boundless: !complete,
        }
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        if self.boundless {
            return true;
        }
        let path: Vec<char> = path.chars().collect();
        self.alternatives.iter().any(|pattern| matches(pattern, &path))
    }
}

/// Whether a pattern is just a path.
///
/// Compat: `Clause::Exists#exact_glob?`: such a pattern is looked up and not matched, so a backslash is a backslash.
pub(crate) fn is_exact(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '{'])
}

/// Compat: `ruby_brace_expand`: the outermost braces first, then whatever they leave. Whether all were made.
fn expand_braces(pattern: Vec<char>, alternatives: &mut Vec<Vec<char>>) -> bool {
    let mut work = vec![pattern];
    let mut made = 0;
    while let Some(pattern) = work.pop() {
        let Some((open, close)) = outermost_braces(&pattern) else {
            alternatives.push(pattern);
            continue;
        };
        let choices = choices(&pattern, open, close);
        made += choices.len();
        if made > MAX_ALTERNATIVES {
            return false;
        }
        for (start, end) in choices.into_iter().rev() {
            let parts = [&pattern[..open], &pattern[start..end], &pattern[close + 1..]];
            work.push(parts.concat());
        }
    }
    true
}

fn outermost_braces(pattern: &[char]) -> Option<(usize, usize)> {
    let mut open = None;
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = pattern.get(at) {
        match c {
            '{' => {
                if depth == 0 {
                    open = Some(at);
                }
                depth += 1;
            }
            '}' => {
                if let Some(open) = open {
                    depth -= 1;
                    if depth == 0 {
                        return Some((open, at));
                    }
                }
            }
            '\\' => at += 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The ranges between the commas of a pair of braces.
fn choices(pattern: &[char], open: usize, close: usize) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    let mut start = open + 1;
    let mut depth = 0_usize;
    let mut at = start;
    while at < close {
        match pattern[at] {
            ',' if depth == 0 => {
                ranges.push((start, at));
                start = at + 1;
            }
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '\\' => at += 1,
            _ => {}
        }
        at += 1;
    }
    ranges.push((start, close));
    ranges
}

/// Whole paths: component by component, going back to the last `**/` when one does not fit.
fn matches(pattern: &[char], path: &[char]) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut recursion: Option<(usize, usize)> = None;
    loop {
        if pattern[p..].starts_with(&['*', '*', '/']) {
            while pattern[p..].starts_with(&['*', '*', '/']) {
                p += 3;
            }
            recursion = Some((p, s));
        }
        if let Some((after_p, after_s)) = component(pattern, p, path, s) {
            let after_s = next_slash(path, after_s);
            match (after_p < pattern.len(), after_s < path.len()) {
                (true, true) => {
                    (p, s) = (after_p + 1, after_s + 1);
                    continue;
                }
                (false, false) => return true,
                _ => {}
            }
        }
        let Some((again, from)) = recursion else {
            return false;
        };
        let slash = next_slash(path, from);
        if slash >= path.len() {
            return false;
        }
        recursion = Some((again, slash + 1));
        (p, s) = (again, slash + 1);
    }
}

fn next_slash(path: &[char], from: usize) -> usize {
    path[from..]
        .iter()
        .position(|c| *c == '/')
        .map_or(path.len(), |at| from + at)
}

fn is_end(text: &[char], at: usize) -> bool {
    text.get(at).is_none_or(|c| *c == '/')
}

/// Where the character of a pattern is that a backslash may stand before.
fn unescape(pattern: &[char], at: usize) -> usize {
    let escaped = pattern.get(at) == Some(&'\\') && at + 1 < pattern.len();
    at + usize::from(escaped)
}

/// One component. Where pattern and path stand behind it, or `None`.
fn component(pattern: &[char], mut p: usize, path: &[char], mut s: usize) -> Option<(usize, usize)> {
    let mut star: Option<(usize, usize)> = None;
    loop {
        match pattern.get(p) {
            Some('*') => {
                while pattern.get(p) == Some(&'*') {
                    p += 1;
                }
                let next = unescape(pattern, p);
                if is_end(pattern, next) {
                    return Some((next, s));
                }
                if is_end(path, s) {
                    return None;
                }
                star = Some((p, s));
                continue;
            }
            Some('?') => {
                if is_end(path, s) {
                    return None;
                }
                p += 1;
                s += 1;
                continue;
            }
            Some('[') => {
                if is_end(path, s) {
                    return None;
                }
                if let Some(after) = bracket(pattern, p + 1, path[s]) {
                    p = after;
                    s += 1;
                    continue;
                }
            }
            _ => {
                p = unescape(pattern, p);
                if is_end(path, s) {
                    return is_end(pattern, p).then_some((p, s));
                }
                if !is_end(pattern, p) && pattern[p] == path[s] {
                    p += 1;
                    s += 1;
                    continue;
                }
            }
        }
        // Something does not fit: the last star takes one character more.
        let (again, from) = star?;
        star = Some((again, from + 1));
        (p, s) = (again, from + 1);
    }
}

/// Where the pattern stands behind a set that has the character; `at` is behind the `[`.
fn bracket(pattern: &[char], mut at: usize, c: char) -> Option<usize> {
    let negated = matches!(pattern.get(at)?, '!' | '^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        if *pattern.get(at)? == ']' {
            return (found != negated).then_some(at + 1);
        }
        let low = unescape(pattern, at);
        at = low + 1;
        let mut high = low;
        if *pattern.get(at)? == '-' && pattern.get(at + 1).is_some_and(|next| *next != ']') {
            high = unescape(pattern, at + 1);
            at = high + 1;
        }
        found |= c == pattern[high] || (pattern[low]..=pattern[high]).contains(&c) || c == pattern[low];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs_match_as_file_fnmatch_does() {
        // Compat: executed with Ruby 3.1.7, ci-yaml.md 30.2.
        for (pattern, path, expected) in [
            ("*.rb", "d/a.rb", false),
            ("**/*.rb", "a.rb", true),
            ("**.rb", "d/a.rb", false),
            ("src/**", "src/a", true),
            ("src/**", "src/a/b", false),
            ("src/**/*", "src/a/b", true),
            ("**", "a/b", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("*", ".y", true),
            ("**/*", ".git/x", true),
            ("{a,b}.txt", "b.txt", true),
            ("{a,b}.txt", "c.txt", false),
            ("[!ab].t", "c.t", true),
            ("[^ab].t", "a.t", false),
            ("[a-c].t", "b.t", true),
            ("[a-].t", "-.t", true),
            ("a?c", "a/c", false),
            ("a?c", "abc", true),
            ("Docker*", "dockerfile", false),
            ("docs/", "docs/x", false),
            ("\\*.md", "*.md", true),
            ("\\*.md", "a.md", false),
            ("{src,lib}/**/*.{c,h}", "lib/q/w.h", true),
            ("{src,lib}/**/*.{c,h}", "lib/w.c", true),
            ("foo/**/bar/*", "foo/bar/z", true),
            ("foo/**/bar/*", "foo/a/bar/z", true),
            ("a{b{c,d},e}", "abd", true),
            ("a{b{c,d},e}", "ae", true),
            ("a{,b}", "a", true),
            ("a{b", "a{b", true),
            ("*a*b", "xaxxb", true),
            ("ü*", "über", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn braces_without_end_are_not_waited_for() {
        assert!(Glob::new(&"{a,b}".repeat(40)).matches("x"));
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[a-c*?{},/\\[\\]\\\\!-]{0,24}", path in "[a-c/.]{0,12}") {
            Glob::new(&pattern).matches(&path);
        }

        #[test]
        fn a_path_matches_itself_and_everything_below_nothing(path in "[a-z]{1,4}(/[a-z]{1,4}){0,3}") {
            prop_assert!(Glob::new(&path).matches(&path));
            prop_assert!(Glob::new("**/*").matches(&path));
        }
    }
}
