//! A model of everything around the core: a store with AWS's label semantics, one target per
//! strategy, a clock, and an adversary. It exists to enumerate; it shares no code with the engine.

#![allow(unreachable_pub)]

pub mod check;
pub mod corners;
pub mod explore;
pub mod faults;
pub mod goals;
pub mod kind;
mod operators;
mod people;
pub mod places;
pub mod sabotage;
pub mod scenarios;
pub mod sequences;
mod target;
pub mod world;
