//! No password in any form in anything that a server wrote.

use crate::common::*;
use harness::canary::{Canary, Scan};
use harness::postgres::ClusterOptions;

#[test]
fn a_server_that_logs_everything_never_sees_a_password() {
    let cluster = set_up(ClusterOptions::new().log_everything());
    let installed = host(&cluster);
    let mut ctx = context("alternating");
    let mut passwords = vec![FIRST.to_owned(), ADMIN.to_owned()];
    for round in 1..=2 {
        let candidate = create(&ctx, &format!("v{round}"));
        passwords.push(member(&candidate, "password"));
        set(&ctx, &candidate).unwrap();
        test(&ctx, &candidate).unwrap();
        promote(&mut ctx, candidate);
        let old = ctx.others[0].version.clone();
        retire(&ctx, &old).unwrap();
    }
    ctx.strategy = "single".into();
    let candidate = create(&ctx, "v3");
    passwords.push(member(&candidate, "password"));
    set(&ctx, &candidate).unwrap();
    // A change that fails is logged with its statement.
    cluster
        .query("ALTER ROLE festival_rotation NOCREATEROLE")
        .unwrap();
    ctx.strategy = "alternating".into();
    promote(&mut ctx, candidate);
    let refused = create(&ctx, "v4");
    passwords.push(member(&refused, "password"));
    let error = set(&ctx, &refused).unwrap_err();

    let mut scan = Scan::default();
    for password in &passwords {
        let canary = Canary::new(password).unwrap();
        canary.scan_path(cluster.folder(), &mut scan).unwrap();
        canary.scan_bytes("error", format!("{error:?} {error}").as_bytes(), &mut scan);
        canary.scan_bytes("context", format!("{ctx:?}").as_bytes(), &mut scan);
        canary.scan_bytes(
            "log",
            format!("{:?}", installed.logs()).as_bytes(),
            &mut scan,
        );
    }
    assert!(scan.findings.is_empty(), "{:?}", scan.findings);
    // It went through everything once for each password.
    let bytes = scan.bytes / passwords.len() as u64;
    println!("evidence: canary scan: {bytes} bytes searched, 0 found");
    // The log does hold the statements that were looked through.
    let log = cluster.log().unwrap();
    assert!(log.matches("PASSWORD 'SCRAM-SHA-256$4096:").count() >= 4);
    assert!(log.contains("ALTER ROLE \"festival_app\" PASSWORD NULL"));
}
