//! The automaton against a naive matcher that expands braces and backtracks.

use pipglr_archive::glob::Pattern;
use proptest::prelude::*;

/// All texts a pattern without escapes stands for, braces replaced.
fn expand(pattern: &str) -> Vec<String> {
    let Some(open) = pattern.find('{') else {
        return vec![pattern.to_owned()];
    };
    let mut depth = 0;
    let mut branches = vec![String::new()];
    for (at, c) in pattern[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let (head, tail) = (&pattern[..open], &pattern[open + at + 1..]);
            return branches
                .iter()
                .flat_map(|branch| expand(&format!("{head}{branch}{tail}")))
                .collect();
        }
        if c == ',' && depth == 1 {
            branches.push(String::new());
        } else if at > 0 {
            branches.last_mut().expect("starts with one").push(c);
        }
    }
    unreachable!("generated patterns are balanced")
}

/// A pattern of plain characters, `?`, `*` and `[…]` against one component.
fn component(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => (0..=name.len()).any(|skip| component(rest, &name[skip..])),
        (['?', rest @ ..], [_, tail @ ..]) => component(rest, tail),
        (['[', '!', no, ']', rest @ ..], [c, tail @ ..]) => c != no && component(rest, tail),
        (['[', low, '-', high, ']', rest @ ..], [c, tail @ ..]) => low <= c && c <= high && component(rest, tail),
        ([p, rest @ ..], [c, tail @ ..]) => p == c && component(rest, tail),
        _ => false,
    }
}

fn components(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        // `a/**` is met by `a`, and `a/**/` by `a` and `a/`.
        (["**"] | ["**", ""], []) => true,
        (["**"], _) => true,
        (["**", rest @ ..], _) => (0..path.len()).any(|skip| components(rest, &path[skip..])),
        ([first, rest @ ..], [name, tail @ ..]) => {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            component(&chars(first), &chars(name)) && components(rest, tail)
        }
        _ => false,
    }
}

fn reference(pattern: &str, path: &str) -> bool {
    let path: Vec<_> = path.split('/').collect();
    expand(pattern)
        .iter()
        .any(|expanded| components(&expanded.split('/').collect::<Vec<_>>(), &path))
}

fn pattern() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "a", "b", "é", "*", "**", "?", "/", "/**/", "**/", "/**", "[a-b]", "*/",
    ]);
    let text = prop::collection::vec(atom.prop_map(String::from), 0..5).prop_map(|v| v.concat());
    text.prop_recursive(2, 12, 3, |inner| {
        let braces =
            prop::collection::vec(inner.clone(), 1..4).prop_map(|branches| format!("{{{}}}", branches.join(",")));
        (inner.clone(), braces, inner).prop_map(|(a, b, c)| a + &b + &c)
    })
}

fn path() -> impl Strategy<Value = String> {
    "[abé]{1,2}(/[abé]{1,2}){0,3}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_reference(pattern in pattern(), path in path()) {
        let matched = Pattern::parse(&pattern).unwrap().matches(&path);
        prop_assert_eq!(matched, reference(&pattern, &path), "{} on {}", pattern, path);
    }

    #[test]
    fn any_text_parses_or_is_refused(pattern in "[a*?/{},\\[\\]!^\\\\-]{0,12}", path in path()) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            let _either = pattern.matches(&path);
        }
    }

    #[test]
    fn an_escaped_text_matches_itself_only(text in "[a*?{},\\[\\]!\\\\-]{1,8}", other in "[a*?{},]{1,8}") {
        let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
        let pattern = Pattern::parse(&escaped).unwrap();
        prop_assert!(pattern.matches(&text));
        prop_assert_eq!(pattern.matches(&other), other == text);
    }
}
