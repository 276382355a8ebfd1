//! Carries out a round and asks after each strike and after the settlement whether the invariants
//! hold. What it does was decided in the plan; what it finds it reports and does not repair.

use std::time::{Duration, Instant};

use crate::Failure;
use crate::plan::{Kill, Round, Strike, Wire};
use crate::rotator::Rotator;
use crate::site::{Site, Victim};
use crate::trail::Trail;
use crate::witness::Witness;

/// Far longer than any command takes on a busy machine, a grace included.
pub(crate) const SETTLING_PATIENCE: Duration = Duration::from_secs(90);
/// `keyturn --help`: a grace is still running.
const REFUSED_FOR_NOW: i32 = 7;
/// What a run may end with while its path is broken or another one is at work: done; failed and
/// not changed; in doubt; refused for now.
const EXPECTED_CODES: [i32; 4] = [0, 5, 6, REFUSED_FOR_NOW];

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: usize,
    pub(crate) kills: usize,
    pub(crate) kills_within_an_effect: usize,
    pub(crate) faults: usize,
    pub(crate) rotations: usize,
}

/// The soak's hands: everything that a round needs.
pub(crate) struct Crew<'a> {
    pub(crate) site: &'a Site,
    pub(crate) witness: Witness,
    pub(crate) trail: Trail,
    pub(crate) tally: Tally,
    /// How long an undisturbed rotation takes here, the process's start included.
    usual: Duration,
    /// How many versions of each secret were looked at.
    known: [usize; 2],
}

impl<'a> Crew<'a> {
    pub(crate) fn new(site: &'a Site) -> Result<Self, Failure> {
        Ok(Self {
            site,
            witness: Witness::new(site)?,
            trail: Trail::new(&site.trail()),
            tally: Tally::default(),
            usual: Duration::from_millis(300),
            known: [0; 2],
        })
    }

    pub(crate) fn play(&mut self, round: &Round) -> Result<(), Failure> {
        for strike in &round.strikes {
            self.strike(strike)?;
        }
        self.site.proxy.sever();
        self.settle(round)?;
        // The second rotator may have left the other secret half-done.
        let touched = |strike: &Strike| strike.rotators.iter().any(|(v, _)| *v != round.victim);
        if round.strikes.iter().any(touched) {
            self.settle_one(round.victim.other(), true)?;
        }
        self.tally.rounds += 1;
        Ok(())
    }

    fn strike(&mut self, strike: &Strike) -> Result<(), Failure> {
        let proxy = &self.site.proxy;
        let fired = proxy.fired();
        match strike.wire {
            Wire::Sound => {}
            Wire::All(fault) => proxy.break_all(fault),
            Wire::One(number, fault) => {
                proxy.break_connection(proxy.connections() + number, fault);
            }
        }
        let mut running = Vec::new();
        for (victim, kill) in &strike.rotators {
            let rotator = self.site.rotator(&["rotate", victim.name(), "--now"])?;
            running.push((*kill, rotator));
        }
        let ended = self.kill_as_planned(strike, &mut running, fired);
        proxy.heal();
        proxy.release();
        if strike.severed {
            proxy.sever();
        }
        self.tally.faults += proxy.fired() - fired;
        ended?;
        let (within_an_effect, wrong) = self.trail.read_on();
        self.tally.kills_within_an_effect += within_an_effect;
        if let Some(wrong) = wrong.first() {
            return Err(format!("audit trail: {wrong}"));
        }
        for (victim, _) in &strike.rotators {
            self.witness.promise_holds(*victim)?;
            self.nothing_is_lost(*victim)?;
        }
        Ok(())
    }

    /// Returns when none of them runs any more.
    fn kill_as_planned(
        &mut self,
        strike: &Strike,
        running: &mut [(Kill, Rotator)],
        fired: usize,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while running
            .iter_mut()
            .any(|(_, rotator)| rotator.ended().is_none())
        {
            let lines = self.trail.lines_ahead();
            for (kill, rotator) in running.iter_mut() {
                let due = match kill {
                    Kill::Never => false,
                    Kill::AtPart { percent } => {
                        rotator.age() * 100 >= self.usual * u32::try_from(*percent).unwrap_or(0)
                    }
                    Kill::AtLine(line) => lines >= *line,
                    Kill::AtFault => self.site.proxy.fired() > fired,
                };
                if (due || began.elapsed() > strike.patience) && rotator.kill() {
                    self.tally.kills += 1;
                }
            }
            // Between two looks; a kill at a line must not come much later than the line.
            std::thread::sleep(Duration::from_micros(200));
        }
        for (_, rotator) in running.iter_mut() {
            self.ended_as_expected(rotator)?;
        }
        Ok(())
    }

    fn ended_as_expected(&mut self, rotator: &mut Rotator) -> Result<(), Failure> {
        if rotator.was_killed() {
            return Ok(());
        }
        let status = rotator.ended();
        match status.and_then(|status| status.code()) {
            Some(0) => self.tally.rotations += 1,
            Some(code) if EXPECTED_CODES.contains(&code) => {}
            _ => {
                return Err(format!(
                    "a rotator ended with {status:?}: {}",
                    rotator.said()
                ));
            }
        }
        Ok(())
    }

    fn settle(&mut self, round: &Round) -> Result<(), Failure> {
        self.settle_one(round.victim, round.now)
    }

    /// A run without faults goes through, and leaves nothing behind.
    fn settle_one(&mut self, victim: Victim, now: bool) -> Result<(), Failure> {
        let command: &[&str] = if now {
            &["rotate", victim.name(), "--now"]
        } else {
            &["rotate", victim.name()]
        };
        let deadline = Instant::now() + SETTLING_PATIENCE;
        loop {
            let mut rotator = self.site.rotator(command)?;
            let status = rotator.wait(SETTLING_PATIENCE);
            match status.and_then(|status| status.code()) {
                Some(0) => {
                    // Half of the old estimate and half of the new one.
                    self.usual = (self.usual + rotator.age()) / 2;
                    self.tally.rotations += 1;
                    break;
                }
                Some(REFUSED_FOR_NOW) if !now && Instant::now() < deadline => {}
                _ => {
                    return Err(format!(
                        "{} does not settle: {status:?}: {}",
                        victim.name(),
                        rotator.said()
                    ));
                }
            }
        }
        let (_, wrong) = self.trail.read_on();
        if let Some(wrong) = wrong.first() {
            return Err(format!("audit trail: {wrong}"));
        }
        self.witness.is_settled(victim)?;
        self.nothing_is_lost(victim)
    }

    fn nothing_is_lost(&mut self, victim: Victim) -> Result<(), Failure> {
        let known = &mut self.known[victim as usize];
        let count = self.witness.none_is_lost(victim, *known)?;
        // What was held on the wire may still bring the last few to life.
        *known = count.saturating_sub(3);
        Ok(())
    }
}
