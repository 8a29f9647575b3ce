//! The page of a made-up run, and of runs that mean harm.

mod sample;

use super::{budget, page, run::Run, timeline};
use pipglr_coordinator::JobState;
use sample::{Sample, at, job};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The page of `sample` as it stands in its directory.
fn rendered(sample: &Sample) -> String {
    let logs = budget::read_logs(&sample.run).unwrap();
    page::render(&sample.run, logs, &sample.directory.path().join("page.html")).unwrap()
}

/// Without style, script and hashes, with the directory as `@`.
fn shown(sample: &Sample) -> String {
    let mut page = rendered(sample).replace(&sample.directory.path().display().to_string(), "@");
    for (from, to) in [
        ("<style>", "</style>"),
        ("<script>", "</script>"),
        ("sha256-", "; base"),
    ] {
        let begin = page.find(from).unwrap() + from.len();
        let end = begin + page[begin..].find(to).unwrap();
        page.replace_range(begin..end, "");
    }
    page.replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

/// `UPDATE_PAGE=1` writes the expected file; read it before keeping it.
#[test]
fn the_page_of_a_run() {
    let sample = Sample::new();
    let page = shown(&sample);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/tests/page.html");
    if std::env::var_os("UPDATE_PAGE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    let differs = page
        .lines()
        .zip(expected.lines())
        .find(|(found, wanted)| found != wanted);
    assert!(
        page == expected,
        "{} differs, first at {differs:#?}: UPDATE_PAGE=1 writes it anew",
        path.display()
    );
}

#[test]
fn failures_come_first_and_then_those_that_may_fail() {
    let page = shown(&Sample::new());
    let order: Vec<usize> = [
        "<article class=\"failure bad\">\n<h3><a href=\"#job-5\">unit",
        "<article class=\"failure warn\">\n<h3><a href=\"#job-2\">lint",
        "<h2 id=\"timeline\">",
        "id=\"job-5\"",
        "id=\"job-2\"",
        "id=\"job-4\"",
        "id=\"job-1\"",
    ]
    .iter()
    .map(|part| page.find(part).unwrap_or_else(|| panic!("{part} is not in {page}")))
    .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn a_page_is_small_and_needs_nothing_else() {
    let mut sample = Sample::new();
    for id in 100..120 {
        sample
            .run
            .jobs
            .push(job(id, &format!("job {id}"), "more", JobState::Success, [0, 1, 2]));
    }
    for job in &sample.run.jobs {
        let _ = std::fs::remove_file(&job.log);
    }
    let page = rendered(&sample);
    assert!(page.len() < 100_000, "{} bytes", page.len());
    for outside in ["http:", "https:", "src=", "@import", "url(", "<link"] {
        assert!(!page.contains(outside), "{outside} is in the page");
    }
}

#[test]
fn names_are_text_wherever_they_stand() {
    let mut sample = Sample::new();
    let harm = "</script><script>alert(1)</script>\"' onload=x <img src=x>{{7*7}}";
    let run = &mut sample.run;
    for text in [
        &mut run.project,
        &mut run.name,
        &mut run.warnings,
        &mut run.ref_name,
        &mut run.sha,
    ] {
        harm.clone_into(text);
    }
    for job in &mut run.jobs {
        harm.clone_into(&mut job.name);
        harm.clone_into(&mut job.stage);
        harm.clone_into(&mut job.pipeline);
        job.notes = vec![harm.to_owned()];
        job.reason = Some(harm.into());
        job.message = Some(harm.to_owned());
        for artifact in &mut job.artifacts {
            for text in [
                &mut artifact.filename,
                &mut artifact.artifact_type,
                &mut artifact.format,
            ] {
                harm.clone_into(text);
            }
            artifact.path = harm.into();
        }
    }
    let page = rendered(&sample);
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
    assert!(!page.contains("<img"));
    assert!(!page.contains("' onload"));
}

#[test]
fn a_log_of_any_size_makes_a_page_of_bounded_size() {
    let sample = Sample::new();
    for (name, line) in [
        ("text", "0123456789 and so on, for a while\n"),
        ("empty", "\n"),
        ("colours", "\x1b[31mx\x1b[32my"),
    ] {
        let log = &sample.run.jobs[2].log;
        // Of 50 MB only both ends are there: nobody reads the rest.
        let mut file = std::fs::File::create(log).unwrap();
        let part = line.repeat(2_000_000 / line.len());
        file.write_all(part.as_bytes()).unwrap();
        file.seek(SeekFrom::Start(50_000_000)).unwrap();
        file.write_all(part.as_bytes()).unwrap();
        let page = rendered(&sample);
        assert!(page.len() < 1_400_000, "{name}: {} bytes", page.len());
        assert!(page.contains(" MB are left out here. The whole log: <code>"), "{name}");
        assert!(page.contains(&log.display().to_string()), "{name}");
    }
}

#[test]
fn many_long_logs_share_the_page() {
    let mut sample = Sample::new();
    sample.run.jobs.clear();
    let line = "0123456789 and so on, for a while\n".repeat(10_000);
    for id in 0..40 {
        let mut job = job(id, "x", "y", JobState::Failed, [0, 0, 1]);
        job.log = sample.directory.path().join(id.to_string());
        std::fs::write(&job.log, &line).unwrap();
        sample.run.jobs.push(job);
    }
    let page = rendered(&sample);
    assert!(page.len() < 10_000_000, "{} bytes", page.len());
    assert!(page.matches("are left out here").count() > 30);
}

/// Rows: name, whom it waited for, then how long each phase took.
fn drawn(run: &Run) -> Vec<String> {
    let timeline = timeline::draw(run, &[]);
    let rows = timeline.rows.iter().map(|row| {
        let took: Vec<&str> = row.phases.iter().map(|span| span.took.as_str()).collect();
        format!("{} ({}) {}", run.jobs[row.job].name, row.waited_for, took.join("|"))
    });
    rows.collect()
}

#[test]
fn the_time_line_says_who_waited_for_what() {
    let sample = Sample::new();
    assert_eq!(
        drawn(&sample.run),
        [
            "build () 0.0 s|0.5 s||9.5 s|",
            "lint () 0.0 s|1.0 s||3.0 s|",
            "unit (build, lint) 10.0 s|1.0 s||5.0 s|",
            "inner () 1.0 s|1.0 s||3.0 s|",
            "unit (build, lint) 16.5 s|0.5 s||7.0 s|",
            "deploy () ||||",
        ]
    );
    let lines: Vec<String> = timeline::draw(&sample.run, &[])
        .lines
        .iter()
        .map(|l| {
            format!(
                "{} {}-{} {}-{}",
                if l.is_last { "last" } else { "need" },
                l.x1,
                l.x2,
                l.y1,
                l.y2
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "need 16.67%-16.67% 48-144",
            "need 16.67%-41.67% 80-80",
            "need 16.67%-68.75% 144-144",
            "last 41.67%-41.67% 16-144",
            "last 41.67%-41.67% 80-80",
            "last 41.67%-68.75% 144-144",
        ]
    );
}

#[test]
fn a_run_that_never_began_has_a_page() {
    let mut sample = Sample::new();
    for job in &mut sample.run.jobs {
        job.state = JobState::Skipped;
        job.times = pipglr_coordinator::JobTimes {
            created_at: at(0.0),
            ..Default::default()
        };
    }
    sample.run.finished_at = None;
    assert!(rendered(&sample).contains("0 of 5 jobs passed, 5 skipped"));
}
