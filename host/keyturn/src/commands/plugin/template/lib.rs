//! Keyturn's plugin for a PIN of six digits. There is no target: whoever checks the PIN reads the secret.

use keyturn_sdk::{
    Context, CreateRequest, Created, Descriptor, Error, Liveness, Members, Outcome, Purpose,
    Rotator, SecretText, Strategy, TargetEffect, Verdict, Version, random,
};

struct Plugin;

impl Rotator for Plugin {
    fn describe() -> Descriptor {
        Descriptor {
            name: "NAME".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "A PIN of six digits".to_owned(),
            strategies: vec![Strategy {
                name: "swap".to_owned(),
                effect: TargetEffect::None,
                purposes: vec![Purpose::Replace],
                needs_operator: false,
                summary: "The new PIN takes the old one's place".to_owned(),
            }],
            settings_schema: r#"{"type":"object","properties":{}}"#.to_owned(),
            // What stands under `properties` is the plugin's own; the host keeps the rest as it is.
            // The example, which is made up, is what `keyturn plugin check` begins with.
            secret_schema: r#"{"type":"object","required":["pin"],
                "properties":{"pin":{"type":"string"}},"examples":[{"pin":"000000"}]}"#
                .to_owned(),
        }
    }

    fn create(ctx: &Context, request: &CreateRequest) -> Result<Created, Error> {
        if request.purpose != Purpose::Replace {
            return Err(Error::unsupported("a PIN can only be replaced"));
        }
        // Bytes from 250 on would make the digits 0 to 5 likelier than the rest.
        let bytes = std::iter::repeat_with(|| random::bytes(1)[0]).filter(|byte| *byte < 250);
        let new: String = bytes
            .take(6)
            .map(|byte| char::from(b'0' + byte % 10))
            .collect();
        let mut members = Members::parse(ctx.current.value.expose())?;
        members.set("pin", &new)?;
        Ok(Created::Value(members.to_secret()))
    }

    // With a target: log in with the candidate, and have the target refuse a wrong one.
    fn test(_ctx: &Context, candidate: &Version) -> Result<Outcome, Error> {
        let pin = pin(candidate)?;
        if pin.expose().len() == 6 && pin.expose().bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Outcome::done());
        }
        Err(Error::rejected(
            "the PIN does not have six digits; rotate again",
        ))
    }

    // With a target: does it accept this value right now?
    fn probe(ctx: &Context, subject: &Version) -> Result<Verdict, Error> {
        let accepted = pin(&ctx.current)?.expose() == pin(subject)?.expose();
        Ok(Verdict::new(if accepted {
            Liveness::Live
        } else {
            Liveness::Dead
        }))
    }
}

fn pin(version: &Version) -> Result<SecretText, Error> {
    let members = Members::parse(version.value.expose())?;
    Ok(SecretText::new(members.require::<String>("pin")?))
}

keyturn_sdk::export!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use keyturn_sdk::{ErrorKind, fake};

    #[test]
    fn the_pin_changes_and_nothing_else() {
        let _host = fake::Host::new().seed(1).install();
        let ctx = fake::context("swap", r#"{"pin":"000000","limit":1.0e3}"#);
        let request = fake::create_request(Purpose::Replace, 0);
        let Created::Value(value) = Plugin::create(&ctx, &request).unwrap() else {
            panic!("asked for input");
        };
        assert!(value.expose().ends_with(r#","limit":1.0e3}"#));
        let candidate = fake::version("candidate", value.expose());
        Plugin::test(&ctx, &candidate).unwrap();
        let verdict = Plugin::probe(&ctx, &candidate).unwrap();
        assert_eq!(verdict.liveness, Liveness::Dead);
    }

    #[test]
    fn a_wrong_pin_is_rejected() {
        let _host = fake::Host::new().install();
        let ctx = fake::context("swap", r#"{"pin":"000000"}"#);
        for wrong in ["12345", "12345x", "1234567"] {
            let candidate = fake::version("candidate", &format!(r#"{{"pin":"{wrong}"}}"#));
            let error = Plugin::test(&ctx, &candidate).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Rejected);
        }
    }
}
