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
        assert_eq!(document["format_version"], "1.0", "{}", ran.shown());
        assert_eq!(document["kind"], kind, "{}", ran.shown());
        assert_eq!(document["code"].as_str().unwrap_or(""), code, "{}", ran.shown());
        if kind == "error" {
            assert_eq!(document["exit_status"], status, "{}", ran.shown());
            assert!(ran.stderr.is_empty(), "{}", ran.shown());
        }
    }
}
