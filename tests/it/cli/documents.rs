//! JSON mode: exactly one document on stdout on every exit.

use super::{EXAMPLE, Place};

#[test]
fn every_exit_prints_exactly_one_document() {
    let place = Place::example()
        .file("bad.yaml", "version: 1\ncompany: biz_Acme\nusers: 3\n")
        .file("broken.jsonl", "hello\n");
    let example = format!("-f {EXAMPLE} --server emulator");
    // In this order: later lines find what earlier ones did.
    for (line, status, kind, code) in [
        (format!("validate -f {EXAMPLE}"), 0, "validation", ""),
        ("validate -f bad.yaml".into(), 7, "validation", ""),
        ("validate -f nowhere.yaml".into(), 7, "error", "manifest.missing"),
        (
            "plan -f bad.yaml --server emulator".into(),
            7,
            "error",
            "manifest.invalid",
        ),
        (format!("plan {example}"), 0, "plan", ""),
        (format!("plan --detailed-exitcode {example}"), 2, "plan", ""),
        (format!("plan -f {EXAMPLE}"), 1, "error", "key.missing"),
        (
            format!("plan {example} --mapping broken.jsonl"),
            1,
            "error",
            "mapping.unreadable",
        ),
        (
            format!("plan {example} --only nobody"),
            64,
            "error",
            "user.unknown",
        ),
        (format!("show {example}"), 1, "error", "io.failed"),
        (format!("apply {example}"), 64, "error", "usage.invalid"),
        (format!("apply --yes {example}"), 0, "report", ""),
        (format!("apply --yes {example}"), 0, "report", ""),
        (format!("plan --detailed-exitcode {example}"), 0, "plan", ""),
        (format!("drift {example}"), 0, "drift", ""),
        (format!("export {example} --out e.yaml"), 0, "export", ""),
        (format!("export {example} --out e.yaml"), 1, "error", "io.failed"),
        (format!("explain 007 {example}"), 0, "explanation", ""),
        (format!("explain nobody {example}"), 64, "error", "user.unknown"),
        (format!("doctor {example}"), 0, "diagnosis", ""),
        (format!("doctor --probe {example}"), 0, "diagnosis", ""),
        ("doctor -f bad.yaml --server emulator".into(), 1, "diagnosis", ""),
        ("init -f new/users.yaml".into(), 0, "init", ""),
        ("man plan".into(), 0, "man", ""),
        ("completions zsh".into(), 0, "completions", ""),
        (format!("show {example}"), 0, "mapping", ""),
        (format!("show 007 {example}"), 0, "mapping", ""),
        (format!("show nobody {example}"), 64, "error", "user.unknown"),
        ("--nope plan".into(), 64, "error", "usage.invalid"),
        ("aply".into(), 64, "error", "usage.invalid"),
        ("plan --server moon".into(), 64, "error", "usage.invalid"),
        ("".into(), 64, "error", "usage.invalid"),
        ("--help".into(), 0, "help", ""),
        ("help plan".into(), 0, "help", ""),
        ("--version".into(), 0, "version", ""),
    ] {
        let ran = place.expect(status, &format!("--format json {line}"));
        let document = ran.json();
        crate::outputs::describes(&document);
        assert_eq!(document["format_version"], "1.0", "{}", ran.shown());
        assert_eq!(document["kind"], kind, "{}", ran.shown());
        assert_eq!(document["code"].as_str().unwrap_or(""), code, "{}", ran.shown());
        if kind == "error" {
            assert_eq!(document["exit_status"], status, "{}", ran.shown());
            assert!(ran.stderr.is_empty(), "{}", ran.shown());
        }
    }
}

#[test]
fn reports_go_to_files_and_to_githubs_page() {
    let place = Place::example().file("summary.md", "before\n");
    let summary = place.path("summary.md").display().to_string();
    let github = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", &*summary)];
    let line = format!("-f {EXAMPLE} --server emulator --report r.md --report r.json");
    let text = |name| String::from_utf8(place.read(name)).unwrap();
    let plan = place.run_with(&format!("plan --format markdown {line}"), &github);
    assert_eq!(plan.status, 0, "{}", plan.shown());
    assert!(
        plan.stdout.starts_with("<!-- whop-sync:emulator:"),
        "{}",
        plan.shown()
    );
    assert_eq!(text("r.md"), plan.stdout);
    assert_eq!(text("summary.md"), format!("before\n{}", plan.stdout));
    assert!(text("r.json").contains("\"kind\": \"plan\""));
    let apply = place.run_with(&format!("apply --yes --format markdown {line}"), &github);
    assert_eq!(apply.status, 0, "{}", apply.shown());
    assert!(
        apply.stdout.contains("### Applied: 12 created"),
        "{}",
        apply.shown()
    );
    assert!(text("summary.md").ends_with(&apply.stdout));
    assert!(text("r.json").contains("\"kind\": \"report\""));
}

#[test]
fn problems_are_annotated_where_github_runs_the_program() {
    let place = Place::new().file("bad.yaml", "version: 1\ncompany: biz_Acme\nusers: 3\n");
    for line in ["validate -f bad.yaml", "validate -f bad.yaml --format json"] {
        let ran = place.run_with(line, &[("GITHUB_ACTIONS", "true")]);
        let lines = ran
            .stderr
            .lines()
            .filter(|line| line.starts_with("::error title=whop-sync "));
        let on_place = lines.filter(|line| line.contains(",file=bad.yaml,line=3,col="));
        assert_eq!((ran.status, on_place.count()), (7, 1), "{}", ran.shown());
        assert!(!place.run(line).stderr.contains("::error"));
    }
}

#[test]
fn the_schema_of_these_documents_is_printed() {
    let place = Place::new();
    let printed = place.expect(0, "schema --plan");
    assert_eq!(printed.stdout, whop_sync::render::schema::PLAN);
    // Even in JSON mode it is the one document.
    assert_eq!(
        place.expect(0, "--format json schema --plan").stdout,
        printed.stdout
    );
    // Without `--plan` it is the manifest's.
    let manifest = place.expect(0, "--format json schema");
    assert_eq!(manifest.stdout, whop_sync::render::schema::MANIFEST);
}

#[test]
fn a_report_that_cannot_be_written_is_told_once_and_before_anything_is_done() {
    let place = Place::example().file("folder.md/file", "");
    let before = place.files();
    for report in ["missing/r.md", "folder.md", "users.example.yaml/r.json"] {
        for command in ["apply --yes", "plan", "drift"] {
            let line = format!("{command} -f {EXAMPLE} --server emulator --format json --report {report}");
            let ran = place.expect(1, &line);
            assert_eq!(ran.json()["code"], "io.failed", "{}", ran.shown());
        }
    }
    assert_eq!(place.files(), before);
    let plan = place.expect(0, &format!("plan -f {EXAMPLE} --server emulator --format json"));
    assert_eq!(plan.json()["reads"]["accounts"], 0, "nothing was made on Whop");
    let saved = place.expect(
        1,
        &format!("plan -f {EXAMPLE} --server emulator --format json --out missing/p.json"),
    );
    assert_eq!(saved.json()["code"], "io.failed");
}

#[test]
fn a_report_that_fails_at_the_end_is_no_second_document() {
    // Its folder goes away in the midst of the run.
    let served = super::Served::start("--latency 200ms");
    let place = Place::example();
    let line = format!(
        "apply --yes -q -f {EXAMPLE} --server {} --format json --report below/r.json",
        served.base
    );
    std::fs::create_dir(place.path("below")).unwrap();
    let mut command = place.command(&line);
    command.env("WHOP_API_KEY", "any");
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Its journal shows that the check is behind it.
    let journal = place.path("users.example.mapping.journal");
    while !journal.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::yield_now();
    }
    std::fs::remove_dir(place.path("below")).unwrap();
    let ran = super::Ran::new(&line, child.wait_with_output().unwrap());
    assert_eq!(ran.status, 1, "{}", ran.shown());
    assert_eq!(ran.json()["complete"], true, "{}", ran.shown());
    assert!(ran.stderr.contains("a report is missing"), "{}", ran.shown());
}

#[test]
fn an_error_before_there_is_a_plan_is_in_the_reports() {
    let place = Place::new()
        .file("bad.yaml", "version: 1\ncompany: biz_Acme\nusers: 3\n")
        .file("r.md", "of an earlier run");
    let line = "plan -f bad.yaml --server emulator --report r.md --report r.json --report r.html";
    let ran = place.expect(7, &format!("{line} --format json"));
    let text = |name| String::from_utf8(place.read(name)).unwrap();
    assert_eq!(text("r.json"), ran.stdout);
    let markdown = text("r.md");
    assert!(
        markdown.starts_with("<!-- whop-sync:emulator: -->\n"),
        "{markdown}"
    );
    assert!(markdown.contains("| `bad.yaml:3` |"), "{markdown}");
    assert!(text("r.html").contains("error[manifest.invalid]"));
}
