//! The demo's vendor: a local server that answers as Stripe does, and the rotation of a key that only a person can make
//! there. The demo plays that person.

use std::path::Path;

use harness::stripe::StripeLike;
use harness::tls::Authority;
use serde_json::json;

use crate::Failure;
use crate::keyturn::Keyturn;
use crate::screen::Screen;
use crate::secrets::{create_one, random_text, write_ca};

const SECRET: &str = "festival-demo/stripe";
const ACCOUNT: &str = "acct_festivaldemo";

pub(crate) struct Vendor {
    stripe: StripeLike,
    ca_pem: String,
    old: String,
}

impl Vendor {
    pub(crate) fn start(screen: &Screen) -> Result<Self, Failure> {
        let authority = Authority::new("Keyturn demo").map_err(|error| error.to_string())?;
        let identity = authority
            .issue(&["127.0.0.1"])
            .map_err(|error| error.to_string())?;
        let stripe = StripeLike::start(&identity).map_err(|error| error.to_string())?;
        let old = new_key()?;
        stripe.add_key(&old, ACCOUNT, true);
        screen.event(
            "vendor",
            &format!(
                "a server on {} that answers as Stripe does",
                stripe.address()
            ),
        );
        Ok(Self {
            stripe,
            ca_pem: authority.certificate_pem(),
            old,
        })
    }

    pub(crate) fn configuration(&self, folder: &Path) -> Result<String, Failure> {
        let ca = write_ca(folder, "vendor-ca.pem", &self.ca_pem)?;
        let port = self.stripe.address().port();
        Ok(format!(
            "
[secret.\"{SECRET}\"]
plugin = \"stripe-assisted\"
grant.endpoint.api = {{ hosts = [\"127.0.0.1\"], ports = [{port}], ca = {ca:?} }}
"
        ))
    }

    pub(crate) fn create(&self, keyturn: &Keyturn, folder: &Path) -> Result<(), Failure> {
        create_one(keyturn, folder, SECRET, &json!({"secret_key": self.old}))
    }

    /// The inner error is a rotation that failed.
    pub(crate) fn rotate(
        &self,
        screen: &Screen,
        keyturn: &Keyturn,
        folder: &Path,
    ) -> Result<Result<(), String>, Failure> {
        let steps = || -> Result<(), String> {
            screen.detail("asks", first_sentence(&keyturn.say(&["rotate", SECRET])?));
            let new = new_key()?;
            self.stripe.add_key(&new, ACCOUNT, true);
            let file = crate::secrets::value_file(folder, &new)?;
            let arguments = [
                "assist",
                SECRET,
                "--value-file",
                &file.display().to_string(),
            ];
            let assisted = keyturn.say(&arguments);
            std::fs::remove_file(&file).map_err(|error| error.to_string())?;
            screen.detail("answered", first_sentence(&assisted?));
            self.stripe.revoke(&self.old);
            let retired = keyturn.say(&["retire", SECRET, "--now"])?;
            screen.detail("retired", first_sentence(&retired));
            Ok(())
        };
        Ok(steps())
    }
}

/// What the demo rotates, for the screen.
pub(crate) const TITLE: &str = " festival-demo/stripe (stripe-assisted), the operator is played";

fn new_key() -> Result<String, Failure> {
    let random: String = random_text(48)?
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(32)
        .collect();
    Ok(format!("sk_test_{random}"))
}

/// Without the secret's name, which stands above it.
fn first_sentence(said: &str) -> &str {
    let said = said.strip_prefix(SECRET).unwrap_or(said);
    let said = said.trim_start_matches([':', ' ']);
    said.split(". ").next().unwrap_or(said)
}
