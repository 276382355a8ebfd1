//! Checks of plugins that talk to several nodes.

use keyturn_runtime::{EndpointSource, Liveness, Protocol, Status, Version};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::checks::target::clean_up;
use crate::checks::{expect_liveness, liveness, needs_a_changed_target, told, word};
use crate::kit::{Checked, Stop};
use crate::value;
use crate::world::{World, version};

fn needs_nodes(world: &World<'_>) -> Checked {
    // What the operator may leave out is nothing that it has to do with.
    let takes_several = world.manifest().endpoints.iter().any(|(name, endpoint)| {
        let is_there = !endpoint.optional || world.scene.endpoints.contains_key(name);
        let is_granted = matches!(endpoint.from, EndpointSource::Grant) && is_there;
        is_granted && endpoint.members_max > 1
    });
    let listed = list(world).is_some();
    if !listed && !takes_several {
        return Err(Stop::not_applicable(
            "its endpoints have one node each, or may be left out and are",
        ));
    }
    needs_a_changed_target(world)?;
    if world.gates.len() > 1 {
        return Ok(());
    }
    let give = match listed || value::steering(world.manifest()).is_empty() {
        true => "give --target once for each",
        // The value leads to one server; the others are the grant's.
        false => "name the others under `endpoints` of a --sample",
    };
    Err(Stop::not_covered(format!("it needs several nodes: {give}")))
}

/// Each node is away once.
pub(crate) async fn node_down(world: &World<'_>) -> Checked {
    needs_nodes(world)?;
    for node in 0..world.gates.len() {
        let current = world.current().await?;
        let candidate = world.candidate().await?;
        let call = world.call(&current, &[]);
        world.gates[node].down().await;
        let probed = world.probe(&call, &current).await;
        let set = world.set(&call, &candidate).await;
        let tested = match &set {
            Ok(_) => world.test(&call, &candidate).await.map(drop),
            Err(error) => Err(error.clone()),
        };
        let up = world.gates[node].up();
        up.map_err(|error| Stop::not_covered(format!("the gate cannot listen again: {error}")))?;
        if tested.is_ok() {
            return Err(Stop::failed(format!(
                "with node {node} down `set` and `test` succeed, and it would be promoted"
            )));
        }
        if let Ok(verdict) = probed
            && verdict.liveness == Liveness::Dead
        {
            return Err(Stop::failed(format!(
                "with node {node} down CURRENT is said to be dead"
            )));
        }
        let set = world.set(&call, &candidate).await;
        set.map_err(|error| world.kit.stop("`set` with all nodes back", &error))?;
        expect_liveness(
            world,
            &candidate,
            Liveness::Live,
            "with all nodes back the candidate",
        )
        .await?;
        clean_up(world, &candidate).await?;
    }
    Ok(())
}

/// The candidate is applied at the first node alone: as by a run whose secret listed no other.
pub(crate) async fn mixed(world: &World<'_>) -> Checked {
    needs_nodes(world)?;
    let Some(list) = list(world) else {
        return Err(Stop::not_applicable("its values do not list its nodes"));
    };
    let current = world.current().await?;
    let candidate = world.candidate().await?;
    let alone = |whole: &Version| -> Version {
        let text = whole.value.expose_secret();
        let first = value::parse(text)
            .pointer(&list)
            .and_then(|nodes| nodes.get(0).cloned());
        let only = Value::Array(first.into_iter().collect());
        version(&whole.id, &value::with(text, &list, only))
    };
    let call = world.call(&alone(&current), &[]);
    if let Err(error) = world.set(&call, &alone(&candidate)).await {
        return Err(Stop::not_covered(format!(
            "the candidate cannot be applied at one node alone, as its nodes know each other: {}",
            told(&error)
        )));
    }
    let found = liveness(world, &candidate).await?;
    if found != Liveness::Mixed {
        return Err(Stop::failed(format!(
            "a value that works on one node of {} is said to be {}",
            world.gates.len(),
            word(&found)
        )));
    }
    let whole = world.call(&current, &[]);
    let set = world.set(&whole, &candidate).await;
    set.map_err(|error| world.kit.stop("`set` on all nodes", &error))?;
    expect_liveness(
        world,
        &candidate,
        Liveness::Live,
        "after `set` on all nodes the candidate",
    )
    .await?;
    clean_up(world, &candidate).await
}

fn list(world: &World<'_>) -> Option<String> {
    world
        .manifest()
        .endpoints
        .values()
        .find_map(|endpoint| match &endpoint.from {
            EndpointSource::Secret(at) => at.list.clone(),
            _ => None,
        })
}

pub(crate) async fn lagging_replica(world: &World<'_>) -> Checked {
    // Beside the one that values name, the operator may name others.
    let readers = world.manifest().endpoints.iter().filter(|(_, endpoint)| {
        // A service's API has no replica.
        let has_nodes = endpoint.protocol != Protocol::Https;
        endpoint.optional && has_nodes && matches!(endpoint.from, EndpointSource::Grant)
    });
    let is_granted = readers
        .into_iter()
        .any(|(name, _)| world.scene.endpoints.contains_key(name));
    if !is_granted || value::steering(world.manifest()).is_empty() {
        return Err(Stop::not_applicable(
            "it has no endpoint whose nodes are only tested, or none is given",
        ));
    }
    needs_a_changed_target(world)?;
    if !world.kit.stage.lag(true) {
        return Err(Stop::not_covered("nobody can make a replica lag here"));
    }
    let judged = while_it_lags(world).await;
    world.kit.stage.lag(false);
    let candidate = judged?;
    let call = world.call(&world.current().await?, &[]);
    let tested = world.test(&call, &candidate).await;
    tested.map_err(|error| {
        world
            .kit
            .stop("`test` after the replica has caught up", &error)
    })?;
    clean_up(world, &candidate).await
}

async fn while_it_lags(world: &World<'_>) -> Result<Version, Stop> {
    let candidate = world.candidate().await?;
    let call = world.call(&world.current().await?, &[]);
    let set = world.set(&call, &candidate).await;
    set.map_err(|error| world.kit.stop("`set` while a replica lags", &error))?;
    let found = liveness(world, &candidate).await?;
    if found == Liveness::Dead {
        return Err(Stop::failed(
            "a value that a lagging replica does not know yet is said to be dead",
        ));
    }
    match world.test_once(&call, &candidate).await {
        Ok(outcome) if matches!(outcome.status, Status::Pending { .. }) => Ok(candidate),
        Ok(_) => Err(Stop::failed(
            "`test` passes while a replica does not know the candidate",
        )),
        Err(error) => Err(Stop::failed(format!(
            "`test` does not wait for a replica that lags: {}",
            told(&error)
        ))),
    }
}
