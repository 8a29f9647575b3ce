//! What GitLab's own tests of its processing say, restated.
//!
//! Compat: GitLab spec/services/ci/pipeline_processing/test_cases; the functions are named after the files.

use super::check;

#[test]
fn dag_same_stage_with_fail_and_retry() {
    check(
        "test build; test test needs:build; test deploy needs:test",
        &[
            ("", "pending created created | pending"),
            ("fail build", "failed skipped skipped | failed"),
            ("retry build", "pending created created | pending"),
            ("success build", "success pending created | running"),
        ],
    );
}

#[test]
fn dag_same_stage_with_subsequent_manual_jobs() {
    check(
        "test a when:manual allow; test b needs:a; test c when:manual allow needs:b; test d needs:c",
        &[
            ("", "manual skipped skipped skipped | skipped"),
            ("play a", "pending created created created | pending"),
            ("success a", "success pending created created | running"),
            ("success b", "success success manual skipped | success"),
        ],
    );
}

#[test]
fn dag_test_manual_allow_failure_false_deploy_always() {
    check(
        "test a when:manual; deploy b when:always needs:a",
        &[
            ("", "manual created | manual"),
            ("play a", "pending created | pending"),
            ("fail a", "failed pending | running"),
        ],
    );
}

#[test]
fn dag_test_manual_same_and_different_stage_needs() {
    check(
        "build a when:manual allow; test b when:manual allow; deploy c needs:b; deploy d needs:a",
        &[
            ("", "manual manual skipped skipped | skipped"),
            ("play b", "manual pending created skipped | pending"),
        ],
    );
}

#[test]
fn dag_test_manual_post_test_needs_deploy_is_stage() {
    check(
        "build a; test b when:manual allow; review c needs:b; deploy d",
        &[
            ("", "pending created created created | pending"),
            ("success a", "success manual skipped pending | running"),
        ],
    );
}

#[test]
fn dag_test_on_failure_no_needs() {
    check(
        "test a needs:; test b when:on_failure needs:",
        &[
            ("", "pending skipped | pending"),
            ("success a", "success skipped | success"),
        ],
    );
}

#[test]
fn dag_build_fails_test_fails_with_allow_failure() {
    check(
        "build a; test b allow; deploy c needs:b",
        &[("fail a", "failed skipped skipped | failed")],
    );
}

#[test]
fn dag_build_fails_deploy_is_delayed_and_needs_test() {
    check(
        "build a; test b; deploy c start_in:5 needs:b",
        &[("fail a", "failed skipped skipped | failed")],
    );
}

#[test]
fn dag_build_test_two_manual_review_test_staging_production() {
    check(
        "build build; test test; test one when:manual allow; test two when:manual allow; \
         review review needs:test,one,two; deploy staging needs:one; deploy production needs:two; \
         post after needs:production; post broken when:on_failure",
        &[
            (
                "success build",
                "success pending manual manual skipped skipped skipped skipped created | running",
            ),
            (
                "success test",
                "success success manual manual skipped skipped skipped skipped skipped | success",
            ),
            (
                "play one",
                "success success pending manual skipped created skipped skipped created | running",
            ),
            (
                "success one",
                "success success success manual skipped pending skipped skipped created | running",
            ),
            (
                "success staging",
                "success success success manual skipped success skipped skipped skipped | success",
            ),
        ],
    );
}

#[test]
fn stage_one_test_succeeds_one_manual_test_fails_and_retry_manual_build() {
    check(
        "test a; test b when:manual allow",
        &[
            ("", "pending manual | pending"),
            ("success a", "success manual | success"),
            ("play b", "success pending | running"),
            ("fail b", "success failed | success with warnings"),
            ("retry b", "success pending | running"),
        ],
    );
}

#[test]
fn stage_build_cancels_with_allow_failure_test1_and_test2_have_when() {
    check(
        "build a allow; test b; test c when:on_failure; deploy d",
        &[("cancel a", "canceled pending skipped created | pending with warnings")],
    );
}

#[test]
fn stage_build_cancels_test1_and_test2_have_when() {
    check(
        "build a; test b; test c when:on_failure; deploy d",
        &[("cancel a", "canceled skipped skipped skipped | canceled")],
    );
}

#[test]
fn stage_test_manual_allow_failure_true_deploy_on_failure() {
    check(
        "test a when:manual allow; deploy b when:on_failure",
        &[("", "manual skipped | skipped")],
    );
}

#[test]
fn dag_build_fails_deploy_needs_test_when_always() {
    check(
        "build a; test b needs:a; deploy c when:always needs:b",
        &[
            ("fail a", "failed skipped pending | running"),
            ("success c", "failed skipped success | failed"),
        ],
    );
}
