//! Values that are not what was asked for.

/// The text of a string member, as it stands.
pub(crate) fn member<'a>(json: &'a str, name: &str) -> &'a str {
    json.split_once(&format!(r#""{name}":""#))
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("", |(text, _)| text)
}

fn with_member(json: &str, name: &str, text: &str) -> String {
    let old = format!(r#""{name}":"{}""#, member(json, name));
    json.replace(&old, &format!(r#""{name}":"{text}""#))
}

/// A new value made from CURRENT, with this lie in it.
pub(crate) fn made(lie: &str, current: &str) -> String {
    let honest = with_member(current, "password", "fresh-password");
    match lie {
        "empty" => " \n".into(),
        "nul" => with_member(&honest, "password", "fresh\0password"),
        "huge" => with_member(&honest, "password", &"x".repeat(70_000)),
        "plain" => "fresh-password".into(),
        "same" => current.replace(',', " , "),
        "other-host" => with_member(&honest, "host", "evil.example"),
        "two-hosts" => honest.replacen('{', r#"{"host":"evil.example","#, 1),
        "other-user" => with_member(&honest, "username", "postgres"),
        "other-credential" => with_member(&honest, "vendor_key", "mine-now"),
        "added-member" => honest.replacen('{', r#"{"exfiltrated":"yes","#, 1),
        _ => honest,
    }
}
