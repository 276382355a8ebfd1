//! What will be done to whom, decided before anything is done: a round is a few strikes and a
//! settlement. Nothing here acts, so that the schedule can be printed when something was found.

use std::fmt;
use std::time::Duration;

use harness::proxy::{Direction, Fault};

use crate::dice::Dice;
use crate::site::Victim;

/// Bytes of one direction of a conversation; few are longer.
const CONVERSATION_BYTES: usize = 4_000;
/// How many connections one rotation opens, the first being number 0.
const CONNECTIONS: usize = 10;
/// The lines of one rotation in the audit trail, and a few more for a second rotator.
const LINES: usize = 36;

/// Some strikes, each of which may leave a rotation half-done, and then a run without faults.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) victim: Victim,
    pub(crate) strikes: Vec<Strike>,
    /// Whether the settling run may end a grace. Without it, it has to wait for that grace.
    pub(crate) now: bool,
}

/// One or two rotators at once, and what happens to them.
#[derive(Debug)]
pub(crate) struct Strike {
    pub(crate) rotators: Vec<(Victim, Kill)>,
    pub(crate) wire: Wire,
    /// The patience with one that hangs. After it, it is killed.
    pub(crate) patience: Duration,
    /// Whether the server learns at once that a hanging connection is over, or not before the
    /// settlement.
    pub(crate) severed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kill {
    Never,
    /// When it has run for this part of the usual duration of a rotation.
    AtPart {
        percent: usize,
    },
    /// When the audit trail has grown by so many lines.
    AtLine(usize),
    /// When its fault on the wire has happened, or by its patience.
    AtFault,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Wire {
    Sound,
    /// Every connection meets it.
    All(Fault),
    /// The n-th connection from now meets it.
    One(usize, Fault),
}

impl Round {
    pub(crate) fn roll(dice: &mut Dice) -> Self {
        let victim = if dice.chance(50) {
            Victim::Alternating
        } else {
            Victim::Single
        };
        let strikes = (0..dice.within(1..=4))
            .map(|_| Strike::roll(victim, dice))
            .collect();
        Self {
            victim,
            strikes,
            now: dice.chance(85),
        }
    }
}

impl Strike {
    fn roll(victim: Victim, dice: &mut Dice) -> Self {
        let wire = Wire::roll(dice);
        let mut rotators = vec![(victim, Kill::roll(&wire, dice))];
        if dice.chance(40) {
            let second = if dice.chance(75) {
                victim
            } else {
                victim.other()
            };
            rotators.push((second, Kill::roll(&wire, dice)));
        }
        Self {
            rotators,
            wire,
            // Rarely long enough for Keyturn's own timeouts, which are tens of seconds.
            patience: if dice.chance(2) {
                Duration::from_secs(60)
            } else {
                dice.millis(300..=1_500)
            },
            severed: dice.chance(60),
        }
    }
}

impl Kill {
    fn roll(wire: &Wire, dice: &mut Dice) -> Self {
        match dice.within(1..=100) {
            1..=12 => Self::Never,
            13..=30 if !matches!(wire, Wire::Sound) => Self::AtFault,
            13..=55 => Self::AtPart {
                percent: dice.within(0..=110),
            },
            _ => Self::AtLine(dice.within(1..=LINES)),
        }
    }
}

impl Wire {
    fn roll(dice: &mut Dice) -> Self {
        let direction = if dice.chance(50) {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        let number = dice.within(0..=CONNECTIONS);
        let bytes = dice.within(0..=CONVERSATION_BYTES);
        match dice.within(1..=100) {
            1..=40 => Self::Sound,
            41..=60 => Self::One(number, Fault::CutAfter { direction, bytes }),
            61..=75 => Self::One(number, Fault::BlackHoleAfter { direction, bytes }),
            76..=88 => Self::One(number, Fault::HoldAfter { direction, bytes }),
            89..=94 => Self::One(
                number,
                Fault::Delay {
                    direction,
                    by: dice.millis(20..=200),
                },
            ),
            _ => Self::All(Fault::Delay {
                direction,
                by: dice.millis(1..=20),
            }),
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, settled with now={}", self.victim.name(), self.now)?;
        for strike in &self.strikes {
            writeln!(f, "    {strike:?}")?;
        }
        Ok(())
    }
}
