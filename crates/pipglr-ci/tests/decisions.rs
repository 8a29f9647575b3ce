//! Whatever rules say, deciding and explaining end, do not panic, and agree with each other.

use pipglr_ci::explain::{Presence, explain, variables};
use pipglr_ci::{Context, Nothing, Request, SourceFile, evaluate_alone};
use proptest::prelude::*;

/// A file that uses most of what decides, to be damaged.
const WHOLE: &str = "\
workflow: {name: 'x $A', rules: [{if: $A, variables: {W: w}}], auto_cancel: {on_new_commit: none}}
variables:
  A: 1
  B: {value: b, expand: false}
build: {script: x, stage: build}
test:
  script: x
  needs: [{job: build, optional: true}]
  rules:
    - if: $A == \"1\" && ($B =~ /^b/i || !$C)
      changes: {paths: ['src/**/*.{c,h}'], compare_to: main}
      variables: {D: $A}
      allow_failure: true
      needs: [build]
    - exists: [a, '*/b']
      when: delayed
      start_in: 1 day
    - when: always
deploy:
  script: x
  only: {refs: [branches, /^x.*/, tags@a/b], variables: [$A], changes: ['*']}
  except: [schedules]
  environment: {name: review/$A}
  resource_group: $W
";

/// The job `test` of a text, explained and evaluated.
fn agree(text: &str) {
    let file = SourceFile {
        path: "ci.yml".to_owned(),
        text: text.to_owned(),
    };
    let request = Request {
        file: &file,
        inputs: &serde_json::Map::new(),
        context: &Context::default(),
        world: &Nothing,
    };
    let explanation = explain(&request, "test");
    let pipeline = evaluate_alone(&file).pipeline;
    let in_pipeline = pipeline.is_some_and(|pipeline| pipeline.jobs.iter().any(|job| job.name == explanation.job));
    assert_eq!(
        explanation.presence == Presence::Present,
        in_pipeline,
        "{:?}",
        explanation.presence
    );
    let known = !matches!(explanation.presence, Presence::Unknown(_) | Presence::Invalid(_));
    assert_eq!(variables(&request, "test").is_some(), known);
}

#[test]
fn the_undamaged_file_is_a_pipeline() {
    let file = SourceFile {
        path: "ci.yml".to_owned(),
        text: WHOLE.to_owned(),
    };
    let evaluation = evaluate_alone(&file);
    let messages: Vec<String> = evaluation.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(messages, [""; 0]);
    assert_eq!(evaluation.pipeline.map(|pipeline| pipeline.jobs.len()), Some(3));
    agree(WHOLE);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file(edits in prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, "[a-z*&<:{}\\[\\]\n \t\"é!~0-9$=|/()]{0,4}"), 1..6)) {
        let mut characters: Vec<char> = WHOLE.chars().collect();
        for (at, removed, inserted) in edits {
            let start = at.index(characters.len() + 1);
            let end = (start + removed).min(characters.len());
            characters.splice(start..end, inserted.chars());
        }
        agree(&characters.into_iter().collect::<String>());
    }

    #[test]
    fn any_value_for_any_keyword(keyword in "(rules|only|except|workflow|variables|inherit|needs|environment|resource_group|tags)", value in "(~|x|1|yes|\\[\\]|\\{\\}|\\[x\\]|\\[\\[x\\]\\]|\\[1, ~\\]|\\{a: b\\}|\\{name: [$]A\\}|\\[\\{if: [$]A\\}\\]|\\[\\{when: (never|manual|delayed)\\}\\]|\\[\\{(changes|exists|needs|variables): (x|\\[x\\]|\\{paths: \\[x\\]\\}|\\{A: [$]B\\})\\}\\]|\\{rules: \\[\\{if: (x|[$]A)\\}\\]\\}|\\[/\\(/\\]|'')") {
        agree(&format!("{keyword}: {value}\ntest:\n  script: x\n  {keyword}: {value}\n"));
    }

    #[test]
    fn any_expression(text in "([$][A-C]|==|!=|=~|!~|&&|[|]{2}|!|[()]|'[a-c/]*'|/[a-c^.*]{2,4}/i?|null|true| ){0,12}") {
        let quoted = serde_json::Value::String(text);
        agree(&format!("variables: {{A: a, B: /a/}}\ntest: {{script: x, rules: [{{if: {quoted}}}]}}\n"));
    }
}
