//! `keyturn access-key`: a new access key in a new file. Its secret half goes nowhere else.

use std::process::ExitCode;

use anyhow::Result;
use keyturn_server::access::KeyPair;
use serde_json::json;

use super::secret::said;
use crate::{
    cli::{AccessKey, Global},
    session::refuse,
};

pub(crate) fn run(global: &Global, arguments: &AccessKey) -> Result<ExitCode> {
    let pair = KeyPair::generate().map_err(refuse)?;
    pair.write_new_file(&arguments.file).map_err(refuse)?;
    let file = arguments.file.display();
    said(
        global,
        &format!(
            "Made the access key {} in {file}.\nNext: name the file in a table [serve.access.NAME] with secrets and \
             actions, and hand it to the application: AWS_SHARED_CREDENTIALS_FILE={file}",
            pair.id
        ),
        json!({"access_key_id": pair.id, "file": arguments.file}),
    )?;
    Ok(ExitCode::SUCCESS)
}
