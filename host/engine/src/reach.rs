//! Where the path to a target breaks: the plugin's own probe of AWSCURRENT, with what the host saw on the way.

use keyturn_runtime::{CallError, Verdict, Way};

use crate::{
    call::{CallSource, ValuesRead},
    credential::Credential,
    engine::EngineOptions,
    failure::RunFailure,
    problem::Failed,
    recorder::Recorder,
    status::unanswered,
};

/// How far a credential's servers were reached, stage by stage.
#[derive(Debug, Clone)]
pub struct Reach {
    /// The version that was tried.
    pub version: String,
    /// One for each server that its plugin may reach.
    pub ways: Vec<Way>,
    /// Whether it logs in.
    pub verdict: Result<Verdict, CallError>,
}

pub(crate) async fn reach(
    options: &EngineOptions,
    credential: &Credential,
) -> Result<Reach, Box<RunFailure>> {
    let mut recorder = Recorder::new(options, credential, "reach");
    match trace(options, credential, recorder.rotation_id()).await {
        Ok(reach) => Ok(reach),
        Err(failed) => Err(unanswered(options, credential, &mut recorder, *failed).await),
    }
}

async fn trace(
    options: &EngineOptions,
    credential: &Credential,
    rotation_id: &str,
) -> Result<Reach, Box<Failed>> {
    let source = CallSource {
        store: options.store.as_ref(),
        credential,
        rotation_id,
        values: &ValuesRead::default(),
    };
    let call = source.gather(None, 1).await?;
    let traced = credential.plugin.trace(&call, &call.current).await?;
    Ok(Reach {
        version: call.current.id,
        ways: traced.ways,
        verdict: traced.answer,
    })
}
