//! Which answers are a vendor's at all.

use super::*;

/// A proxy's page has a status, too.
#[test]
fn an_answer_of_another_shape_is_no_verdict() {
    let sendgrids = json!({"sendgrid_api_key": OLD});
    let facebooks = json!({"facebook_app_secret": "0a".repeat(16), "facebook_app_id": "1"});
    let busy = json!({"error": {"type": "OAuthException", "code": 1, "message": "An unknown error occurred"}});
    for (name, value, status, body) in [
        ("sendgrid", &sendgrids, 200, json!("<html>")),
        ("sendgrid", &sendgrids, 401, json!("<html>")),
        ("sendgrid", &sendgrids, 403, json!("<html>")),
        ("facebook", &facebooks, 200, json!("<html>")),
        ("facebook", &facebooks, 400, busy),
    ] {
        let _host = sendgrid(move |_| (status, body.clone())).install();
        let ctx = ctx(profile(name), value);
        let error = VendorAssisted::probe(&ctx, &ctx.current).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol, "{name} {status}");
    }
}
