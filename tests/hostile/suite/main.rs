//! Plugins that do their worst, in the real sandbox beside a good neighbour and with listeners that
//! must see nobody, and under the real engine. [`cases`] is the table of what they do and how each
//! must end; [`stage`] holds every one of them to the same promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod cases;
mod memory;
mod places;
mod rotations;
mod stage;
mod support;
