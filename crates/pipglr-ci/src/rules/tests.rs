//! The clauses against a world, as `include:rules` uses them.

use super::clauses::Memory;
use super::{Scope, include_applies};
use crate::diagnostics::Problems;
use crate::keywords::rules::Expressions;
use crate::model::Variable;
use crate::variables::outside::Outside;
use crate::world::{Component, Context, ContextVariables, FetchError, Origin, World};
use crate::{SourceFile, yaml};
use std::rc::Rc;

#[derive(Debug)]
struct Repository;

fn list(paths: &[&str]) -> Rc<[String]> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

impl World for Repository {
    fn local(&self, _: &Origin, _: &str) -> Result<String, FetchError> {
        Err(FetchError::Missing)
    }

    fn paths(&self, origin: &Origin) -> Result<Rc<[String]>, FetchError> {
        Ok(match origin {
            Origin::Project => list(&["Dockerfile", "docs/a/b.md", "src/main.rs"]),
            Origin::Other { .. } => list(&["other.txt"]),
            Origin::Nowhere => return Err(FetchError::Missing),
        })
    }

    fn project(&self, project: &str, reference: Option<&str>) -> Result<Origin, FetchError> {
        match (project, reference) {
            ("group/other", None | Some("main")) => Ok(Origin::Other {
                project: project.to_owned(),
                sha: "1".to_owned(),
            }),
            ("group/other", _) => Err(FetchError::NoReference),
            _ => Err(FetchError::NoProject),
        }
    }

    fn remote(&self, _: &str) -> Result<String, FetchError> {
        Err(FetchError::TimedOut)
    }

    fn template(&self, _: &str) -> Result<String, FetchError> {
        Err(FetchError::Missing)
    }

    fn component(&self, _: &str) -> Result<Component, FetchError> {
        Err(FetchError::Missing)
    }

    fn changed_paths(&self, compare_to: Option<&str>) -> Result<Option<Rc<[String]>>, FetchError> {
        match compare_to {
            None => Ok(Some(list(&["src/main.rs"]))),
            Some("main") => Ok(Some(list(&["src/main.rs", "docs/a/b.md"]))),
            Some("new") => Ok(None),
            Some(_) => Err(FetchError::NoReference),
        }
    }
}

/// Whether rules let an include in, and what is reported.
fn applies(rules: &str) -> (bool, Vec<String>) {
    let mut problems = Problems::default();
    let file = problems.open(Rc::new(SourceFile {
        path: "ci.yml".to_owned(),
        text: rules.to_owned(),
    }));
    let passage = yaml::Passage::whole(&problems, file);
    let documents = yaml::compose(&mut problems, &passage).unwrap();
    let variable = |key: &str, value: &str| Variable {
        key: key.to_owned(),
        value: value.to_owned(),
        expand: true,
    };
    let context = Context {
        variables: ContextVariables {
            pipeline: vec![variable("A", "a"), variable("DIR", "$TOP"), variable("TOP", "docs")],
            ..ContextVariables::default()
        },
        ..Context::default()
    };
    let outside = Outside::new(&context);
    let scope = Scope {
        world: &Repository,
        origin: &Origin::Project,
        variables: &outside.variables(),
        memory: &Memory::default(),
    };
    let applies = include_applies(
        &mut problems,
        "include",
        &documents[0],
        &scope,
        &mut Expressions::default(),
    );
    let messages = problems.finish().into_iter().map(|problem| problem.message).collect();
    (applies, messages)
}

#[test]
fn the_first_rule_that_matches_decides() {
    for (rules, expected) in [
        ("~", true),
        ("[{if: $A}]", true),
        ("[{if: $B}]", false),
        ("[{if: $A, when: never}, {when: always}]", false),
        ("[{if: $B, when: never}, {when: always}]", true),
        ("[[[{if: $A}]]]", true),
        ("[{if: '$DIR == \"docs\"'}]", false),
        ("[{if: '$DIR == \"$TOP\"'}]", true),
        ("[{changes: [src/*.rs]}]", true),
        ("[{changes: ['**/*.md']}]", false),
        ("[{changes: {paths: ['**/*.md'], compare_to: main}}]", true),
        ("[{changes: {paths: [none], compare_to: new}}]", true),
        ("[{changes: {regexp: '^src/.*rs$'}}]", true),
        ("[{exists: [Dockerfile]}]", true),
        ("[{exists: [dockerfile]}]", false),
        ("[{exists: Dockerfile}]", true),
        ("[{exists: ['$DIR/a/*.md']}]", true),
        ("[{exists: [docs/]}]", true),
        ("[{exists: [doc/]}]", false),
        ("[{exists: ['**/*.rs']}]", true),
        ("[{exists: {paths: [other.txt], project: group/other}}]", true),
        (
            "[{exists: {paths: [Dockerfile], project: group/other, ref: main}}]",
            false,
        ),
        ("[{if: $A, changes: [none]}]", false),
        ("[{if: $A, changes: [src/*], exists: [Dockerfile]}]", true),
    ] {
        assert_eq!(applies(rules), (expected, Vec::new()), "{rules}");
    }
}

#[test]
fn what_cannot_be_answered_is_reported() {
    for (rules, expected) in [
        ("[]", "include:rules config can't be blank"),
        ("x", "include:rules config should be an array"),
        ("[x]", "include:rules:rule config should be a hash"),
        ("[{}]", "include:rules:rule config can't be blank"),
        ("[{iff: $A}]", "include:rules:rule config contains unknown keys: iff"),
        (
            "[{needs: [x]}]",
            "include:rules:rule config contains unknown keys: needs",
        ),
        ("[{if: 1}]", "include:rules:rule if should be a string"),
        ("[{if: $A =}]", "include:rules:rule if invalid expression syntax"),
        ("[{when: manual}]", "include:rules:rule when unknown value: manual"),
        (
            "[{changes: x}]",
            "include:rules:rule:changes config should be an array or a hash",
        ),
        (
            "[{changes: [1]}]",
            "include:rules:rule:changes config should be an array of strings",
        ),
        (
            "[{changes: {}}]",
            "include:rules:rule:changes config missing required keys: paths",
        ),
        (
            "[{changes: {paths: [x], compare_to: nowhere}}]",
            "rules:changes:compare_to is not a valid ref",
        ),
        (
            "[{exists: {paths: [x], ref: x}}]",
            "include:rules:rule:exists config missing required keys: project",
        ),
        (
            "[{exists: {paths: [x], project: no/where}}]",
            "rules:exists:project `no/where` is not a valid project path",
        ),
        (
            "[{exists: {paths: [x], project: group/other, ref: nope}}]",
            "rules:exists:ref `nope` is not a valid ref in project `group/other`",
        ),
        ("[{changes: {regexp: '('}}]", "`(` is not a valid regexp"),
    ] {
        assert_eq!(applies(rules).1, [expected], "{rules}");
    }
}

#[test]
fn more_than_fifty_patterns_are_too_many() {
    let patterns: Vec<String> = (0..51).map(|n| format!("none{n}")).collect();
    let (_, messages) = applies(&format!("[{{changes: [{}]}}]", patterns.join(", ")));
    assert_eq!(
        messages,
        ["include:rules:rule:changes config has too many entries (maximum 50)"]
    );
}

#[test]
fn too_many_comparisons_count_as_true() {
    let paths: Vec<String> = (0..1001).map(|n| format!("{n:04}")).collect();
    let globs: Vec<String> = (0..50).map(|n| format!("none{n}*")).collect();
    let globs: Vec<&str> = globs.iter().map(String::as_str).collect();
    assert!(super::clauses::any_exists(&globs, &paths));
    assert!(!super::clauses::any_exists(&globs, &paths[1..]));
    assert!(!super::clauses::any_exists(&["**/*.rb", "none"], &paths));
}
